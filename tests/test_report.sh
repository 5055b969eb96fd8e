#!/usr/bin/env bash
# test_report.sh — the report of a few tiny runs: nothing missing in it, nothing outside of it, and a browser
# (chromium, where it is installed) shows it without an error. SPDX-License-Identifier: MIT
# labels: unit
set -euo pipefail
root=${MINRNN_SOURCE_DIR:-$(cd "$(dirname "$0")/.." && pwd)}
export MINRNN=${MINRNN:-$root/build/minrnn}
for tool in gnuplot cmark-gfm; do
  command -v $tool > /dev/null || { echo "$tool is missing: skipped"; exit 77; }
done
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
unset PROFILE
export RESULTS=$tmp/results
runs=$RESULTS/runs/tiny
page=$RESULTS/report/index.html
text=$RESULTS/report/report.md

fail()
{
  echo "FAILED: $*" >&2
  exit 1
}

if "$root/scripts/report.sh" tiny > "$tmp/out" 2>&1; then fail "a report about nothing"; fi
grep -q 'make reproduce' "$tmp/out" || fail "unclear: $(cat "$tmp/out")"

small=(--length=8 --selective_copy.data_tokens=2 --width=8 --layers=1 --threads=1)
for model in mingru gru; do
  "$MINRNN" train "${small[@]}" --batch=4 --steps=4 --eval_every=2 --eval_batches=1 --model=$model \
    --out="$runs/copy-$model.h5" --quiet > "$tmp/out" 2>&1 || fail "a tiny run"
done
MINRNN_DATA=$tmp/nowhere "$MINRNN" train --task=shakespeare --model=gru --out="$runs/text-gru.h5" --quiet > "$tmp/out" 2>&1 ||
  fail "a run without its text: $(cat "$tmp/out")"
"$MINRNN" bench "${small[@]}" --batch=2 --model=mingru,gru,gru_loop --samples=5 --out="$runs/times" > /dev/null 2>&1 || fail "a tiny timing"
"$MINRNN" infer "${small[@]:1}" --batch=2 --context=8 --tokens=2 --model=mingru --samples=3 --out="$runs/answers" > /dev/null 2>&1 || fail "a tiny inference"
# Made by commands of claims: not in the profile's folder.
for made in asked claims/asked; do
  "$MINRNN" train "${small[@]}" --batch=4 --steps=2 --eval_every=2 --eval_batches=1 --model=minlstm --out="$RESULTS/runs/$made.h5" \
    --quiet > "$tmp/out" 2>&1 || fail "a run beside the profile's"
done
echo "no run file" > "$runs/broken.h5"
"$root/scripts/figures.sh" tiny > "$tmp/out" 2>&1 || fail "figures: $(cat "$tmp/out")"
"$root/scripts/report.sh" tiny > "$tmp/out" 2>&1 || fail "report: $(cat "$tmp/out")"

echo "the page holds all figures and links to no other file"
images=$(grep -o '<img ' "$page" | wc -l)
[ "$images" = "$(find "$RESULTS/figures" -name '*.svg' | wc -l)" ] || fail "$images images in the page"
[ "$images" -ge 5 ] || fail "$images images are too few"
[ "$(grep -o 'src="data:image/svg+xml;base64,[A-Za-z0-9+/=]\{1000,\}"' "$page" | wc -l)" = "$images" ] || fail "an image is not inside"
grep -oE '(src|href)="[^d][^"]*"' "$page" && fail "the page links to something else"
tail -n 1 "$page" | grep -q '</html>' || fail "the page is cut off"
[ "$(grep -c '^<h2' "$page")" = 7 ] || fail "sections: $(grep '^<h2' "$page")"

grep -n 'raw HTML omitted' "$page" && fail "the page lost what was written as HTML"
grep -q '^  pre {.*overflow-wrap: anywhere' "$page" || fail "long lines are cut in print"

echo "the text names every run, what is missing and why, the machine and the commands"
grep -q '^| copy-mingru | selective_copy | mingru | 1 | 8 | 8 |' "$text" || fail "the run is not in the table"
grep -q '^| text-gru | skipped | .*fetch_data' "$text" || fail "the skipped run: $(grep text-gru "$text")"
grep -qE '^\| cpu \| .+ \|$' "$text" || fail "no machine"
[ "$(sed -n 's/^| Selective copying, 1 layer of minLSTM[^|]*|[^|]*|[^|]*| \([^|]*\) |.*/\1/p' "$text" | grep -c '(minlstm)$')" = 1 ] ||
  fail "a run that a claim's command made is not judged: $(grep '1 layer of minLSTM' "$text")"
grep -q 'paper states neither the widths .* Run here: width 8;' "$text" || fail "widths that the paper does not state"
# Model, arithmetic, shape, times ... launches and three numbers of memory; then the same of inference.
number='[0-9.e+-]+ \| '
grep -qE "^\\| gru_loop \\| cpu \\| f32 \\| 8 \\| 1 \\| 2 \\| 8 \\| eager \\| hot \\| ($number){11}[0-9]+ \\| (mis)?trusted" "$text" ||
  fail "no timing of the loop: $(grep '^| gru_loop' "$text")"
grep -qE "^\\| mingru \\| cpu \\| f32 \\| 8 \\| 1 \\| 2 \\| 8 \\| ($number){11}(mis)?trusted" "$text" ||
  fail "no inference: $(grep '^| mingru' "$text")"

echo "every command that the report names runs as it stands"
sed -n '/^## Commands/,/^## All/p' "$text" | grep ' --force$' > "$tmp/commands" || fail "no commands"
[ "$(wc -l < "$tmp/commands")" = 7 ] || fail "commands: $(cat "$tmp/commands")"
(cd "$root" && MINRNN_DATA=$tmp/nowhere bash -e "$tmp/commands" > "$tmp/out" 2>&1) || fail "a command of the report: $(cat "$tmp/commands" "$tmp/out")"
grep -qE '^[0-9]+ claims: \*\*[0-9]+\*\* ' "$text" || fail "no count of the claims"
while IFS= read -r line; do
  image=$(sed -E 's/.*\(\.\.(.*)\)$/\1/' <<< "$line")
  [ -s "$RESULTS$image" ] || fail "$image is missing"
done < <(grep '^!\[' "$text")

echo "what is timed beside PyTorch goes into a file per device, and from there into the report"
unset MAKEFLAGS MAKELEVEL
for device in cpu cuda; do
  make -C "$root" -n peers BUILD="$tmp" PEERS="--device=$device" > "$tmp/out" 2>&1 || fail "make peers: $(cat "$tmp/out")"
  grep -q "runs/peers/[^ ]*-$device.tsv" "$tmp/out" || fail "not a file per device: $(cat "$tmp/out")"
  tail -n 2 "$tmp/out" | grep -q 'scripts/report.sh' || fail "make peers leaves the report as it is"
done

echo "what is worth keeping goes into a folder of plain tables, and claims from there into the README"
export REFERENCE=$tmp/reference README=$tmp/README.md
"$root/scripts/reference.sh" "a b" tiny > "$tmp/out" 2>&1 && fail "a folder with a blank in its name"
"$root/scripts/reference.sh" desk tiny > "$tmp/out" 2>&1 || fail "reference: $(cat "$tmp/out")"
for kept in summary cells claims; do
  [ "$(wc -l < "$REFERENCE/desk/$kept.tsv")" -ge 3 ] || fail "$kept.tsv is empty"
done
[ "$(wc -l < "$REFERENCE/desk/machine.tsv")" = 2 ] || fail "the machine: $(cat "$REFERENCE/desk/machine.tsv")"
[ "$(wc -l < "$REFERENCE/desk/commands.txt")" = 5 ] || fail "the commands: $(cat "$REFERENCE/desk/commands.txt")"
grep -q "$root" -r "$REFERENCE" && fail "paths of this machine are kept"
printf 'before\n<!-- claims: begin -->\nold\n<!-- claims: end -->\nafter\n' > "$README"
"$root/scripts/readme_claims.sh" --check > "$tmp/out" 2>&1 && fail "an old table is taken for a current one"
"$root/scripts/readme_claims.sh" > "$tmp/out" 2>&1 || fail "claims: $(cat "$tmp/out")"
"$root/scripts/readme_claims.sh" --check || fail "the new table is not current"
grep -q '^| Selective copying, 1 layer of minGRU.* 37 ± 2.3 % | [0-9.]* % | ' "$README" || fail "no claim: $(cat "$README")"
grep -qx old "$README" && fail "the old table is still there"
[ "$(tail -n 1 "$README")" = after ] || fail "the rest of the page is lost"

if ! command -v chromium > /dev/null; then
  echo "ok, but no chromium here to open the page with"
  exit 0
fi
echo "a browser shows it at phone and desk width without a missing image, an error or a page that is too wide"
sed 's|</body>|<script>document.title = "missing " + [...document.images].filter(i => !i.naturalWidth).length + " of " +\
  document.images.length + " wide " + (document.documentElement.scrollWidth > innerWidth)</script></body>|' "$page" > "$tmp/page.html"
for width in 500 1280; do
  chromium --headless --no-sandbox --disable-gpu --user-data-dir="$tmp/browser" --enable-logging=stderr --window-size=$width,1000 \
    --virtual-time-budget=5000 --dump-dom "file://$tmp/page.html" > "$tmp/dom" 2> "$tmp/err" || fail "chromium: $(tail -n 3 "$tmp/err")"
  said=$(grep -o '<title>[^<]*' "$tmp/dom")
  [ "$said" = "<title>missing 0 of $images wide false" ] || fail "at $width: $said"
  grep 'CONSOLE' "$tmp/err" && fail "the browser complains"
done
echo "ok"
