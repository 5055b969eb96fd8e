#!/usr/bin/env bash
# report.sh — one page about the runs of a profile: claims, figures, tables, what is missing, machine, commands,
# timings. SPDX-License-Identifier: MIT
#
#   scripts/report.sh [PROFILE]      without one: the profile whose figures were drawn last
#
# results/report/report.md is written from minrnn verify, the tables behind the figures and the run files;
# cmark-gfm makes results/report/index.html of it, which needs no other file. Environment: MINRNN (the program,
# default build/minrnn) and RESULTS (folder of runs/, figures/ and report/, default results).
set -euo pipefail
export LC_ALL=C.UTF-8

root=$(cd "$(dirname "$0")/.." && pwd)
minrnn=${MINRNN:-$root/${BUILD:-build}/minrnn}
results=${RESULTS:-$root/results}
figures=$results/figures
data=$figures/data
report=$results/report

die()
{
  echo "report: $*" >&2
  exit 1
}

profile=${1:-${PROFILE:-$(cat "$data/profile.txt" 2> /dev/null || true)}}
[ -n "$profile" ] || die "no figures in $figures, so there is nothing to report; make reproduce makes them"
runs=$results/runs/$profile
[ -d "$runs" ] || die "no runs in $runs; make reproduce PROFILE=$profile makes them"
[ -x "$minrnn" ] || die "the program $minrnn is missing; make build makes it"
command -v cmark-gfm > /dev/null || die "cmark-gfm is missing; Debian's package has the same name"
mkdir -p "$report"
scratch=$(mktemp -d "$report/.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

mapfile -d '' files < <(find "$runs" -name '*.h5' -print0 | sort -z)
[ ${#files[@]} -gt 0 ] || die "no finished run (*.h5) in $runs; make reproduce PROFILE=$profile makes them"
# The commands that claims name write beside the profiles; what they made is judged with the profile's runs.
mapfile -d '' loose < <(find "$results/runs" -maxdepth 1 -name '*.h5' -print0 | sort -z)
mapfile -d '' asked < <(find "$results/runs/claims" -name '*.h5' -print0 2> /dev/null | sort -z)
judged=$runs
if [ ${#loose[@]} -gt 0 ] || [ ${#asked[@]} -gt 0 ]; then
  judged=$scratch/judged
  mkdir "$judged"
  realpath -z "$runs" "${loose[@]}" ${asked[0]:+"$results/runs/claims"} | xargs -0 ln -s -t "$judged"
  files+=("${loose[@]}" "${asked[@]}")
fi
# A file that cannot be read is named by minrnn and left out.
"$minrnn" table facts "${files[@]}" --format=tsv > "$scratch/facts.tsv" || true

# Columns of a table with tabs as one of Markdown: `table FILE "column=Heading" ...`. Numbers are rounded to
# 4 digits and nan is left empty; "column/N=Heading" divides by N, and rows may be chosen by KEEP, an awk condition
# on v("column").
table()
{
  local file=$1
  shift
  awk -F'\t' -v spec="$(printf '%s\t' "$@")" '
    function v(name) { return name in at ? $at[name] : "" }
    function text(x) {
      if (x == "nan" || x == "none") return ""
      if (x ~ /^-?[0-9.]+(e[-+]?[0-9]+)?$/ && x !~ /^-?[0-9]+$/) x = sprintf("%.4g", x)
      gsub(/\|/, "\\|", x)
      return x
    }
    /^#/ { next }
    !heading {
      for (i = 1; i <= NF; i++) at[$i] = i
      n = split(spec, column, "\t") - 1
      heading = "|"
      line = "|"
      for (i = 1; i <= n; i++) {
        split(column[i], part, "=")
        unit[i] = split(part[1], named, "/") > 1 ? named[2] : 0
        name[i] = named[1]
        heading = heading " " part[2] " |"
        line = line " --- |"
      }
      next
    }
    '"${KEEP:-1}"' {
      if (!rows++) print heading "\n" line
      row = "|"
      for (i = 1; i <= n; i++) {
        x = v(name[i])
        row = row " " text(unit[i] && x ~ /^-?[0-9]/ ? sprintf("%.9f", x / unit[i]) : x) " |"
      }
      print row
    }' "$file"
  echo
}

# The figures in the order of the page: name, then what it shows.
figure()
{
  [ -s "$figures/$1.svg" ] || return 0
  printf '![%s](../figures/%s.svg)\n\n*%s* [PNG](../figures/%s.png)\n\n' "$2" "$1" "$2" "$1"
}

claims()
{
  echo "## Claims of the paper"
  echo
  # What could not be judged is told too; no verdict is made up here.
  "$minrnn" verify --claims="$root/results/paper/claims.tsv" --runs="$judged" --tsv > "$scratch/claims.tsv" || echo "Some run files could not be read: see the messages of the run."
  awk -F'\t' 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    { if (!($at["verdict"] in n)) order[++kinds] = $at["verdict"]; n[$at["verdict"]]++; all++ }
    END {
      printf "%d claims:", all
      for (k = 1; k <= kinds; k++) printf "%s **%d** %s", (k > 1 ? "," : ""), n[order[k]], order[k]
      print ".\n"
    }' "$scratch/claims.tsv"
  "$minrnn" verify --claims="$root/results/paper/claims.tsv" --runs="$judged" --markdown 2> /dev/null || true
  echo
}

speed()
{
  local names=() f
  echo "## Speed and memory"
  echo
  for f in "$figures"/efficiency*.svg; do
    [ -e "$f" ] && names+=("$(basename "$f" .svg)")
  done
  mapfile -t names < <(printf '%s\n' "${names[@]}" | sort -V)
  if [ -s "$data/efficiency_widths.txt" ]; then
    echo "The paper states neither the widths nor the number of layers nor the precision of its timings. Run here: width" \
      "$(cat "$data/efficiency_widths.txt"); the rest stands under the figures. All timings are in the last section."
    echo
  fi
  for f in "${names[@]}"; do
    figure "$f" "Training step over sequence length: time, speed-up, memory; the paper's points as crosses; width ${f#efficiency_}"
  done
  figure inference "Inference: reading a context, time per further token, tokens per second, state; the paper's percentages hollow"
  figure roofline "Share of the machine's measured rates that each op reaches"
  "$minrnn" crossover --runs="$judged" --format=tsv > "$scratch/crossover.tsv" 2> /dev/null || true
  if [ "$(wc -l < "$scratch/crossover.tsv")" -gt 1 ]; then
    echo "### Length from which on a parallel model is faster"
    echo
    table "$scratch/crossover.tsv" "model=model" "over=over" "width=width" "batch=batch" "device=device" "math=math" "mode=mode" \
      "outcome=faster from" "ratio_shortest=ratio at the shortest" "ratio_longest=at the longest"
  fi
  local peers
  for peers in "$results"/runs/peers/*.tsv; do
    [ -e "$peers" ] || continue
    echo "### Beside PyTorch, $(basename "$peers" .tsv)"
    echo
    sed -n 's/^# //p' "$peers" | sed 's/$/  /'
    echo
    table "$peers" "form=PyTorch form" "model=here" "torch_ms=PyTorch ms" "ours_ms=here ms" "ratio=ratio" \
      "batch=B" "length=T" "width=D" "device=device" "math=math" "threads=threads"
  done
}

tasks()
{
  echo "## Tasks"
  echo
  figure selective_copy_curves "Selective copying: accuracy and loss over training steps"
  figure selective_copy_models "Selective copying: test accuracy beside the paper's"
  figure selective_copy_layers "Selective copying: test accuracy over the number of layers"
  figure shakespeare "Shakespeare: validation loss over steps and seconds"
  figure offline_rl "Offline reinforcement learning: scores by data set"
  if [ -s "$data/offline_rl.tsv" ]; then
    table "$data/offline_rl.tsv" "env=environment" "layers=layers" "data=data" "origin=data are" "data_mean=score of the data" \
      "model=model" "seeds=seeds" "target=target" "best=score, best" "best_deviation=deviation" "last=score, last" "return_best=return, best" "data_best=score, the data's best policy 100" \
      "target_2=second target" "best_2=score, best" "return_2_best=return, best" "published=published (D4RL data)" "published_deviation=deviation" "certainty=certainty"
  fi
  if [ -s "$data/summary.tsv" ]; then
    echo "### Runs"
    echo
    KEEP='v("status") == "complete"' table "$data/summary.tsv" "run=run" "task=task" "model=model" "layers=L" "width=D" \
      "length=T" "seed=seed" "steps_done=steps" "seconds=seconds" "test_loss_best=test loss" \
      "test_accuracy_best=accuracy" "test_score_best=score" "trust=trust"
  fi
}

missing()
{
  echo "## What is missing"
  echo
  local rows
  rows=$(KEEP='v("status") != "complete"' table "$scratch/facts.tsv" "run=run" "status=state" "reason=why")
  if [ -n "$rows" ]; then
    printf '%s\n' "$rows"
  else
    echo "Nothing: every run of this profile is complete."
  fi
  echo
  rows=$(KEEP='v("trust") == "mistrusted"' table "$scratch/facts.tsv" "run=run" "reason=why it is doubted")
  [ -z "$rows" ] || printf '%s\n\n' "$rows"
}

machine()
{
  echo "## Machine"
  echo
  # One row per attribute; runs made on different machines have one column each.
  awk -F'\t' '
    NR == 1 { for (i = 1; i <= NF; i++) name[i] = $i; columns = NF; next }
    {
      key = ""
      for (i = 1; i <= columns; i++) if (name[i] ~ /^(cpu|cores|ram_bytes|gpu|driver|cuda|cudnn|openblas|hdf5|compiler|flags|git_commit|kernel)$/) key = key "\t" $i
      if (key in seen) next
      seen[key] = 1
      n++
      for (i = 1; i <= columns; i++) value[i, n] = $i
    }
    END {
      printf "| |"
      for (k = 1; k <= n; k++) printf " %s |", (n > 1 ? "machine " k : "value")
      printf "\n| --- |"
      for (k = 1; k <= n; k++) printf " --- |"
      printf "\n"
      for (i = 1; i <= columns; i++) {
        if (name[i] !~ /^(cpu|cores|threads|binding|ram_bytes|gpu|driver|cuda|cublas|cudnn|openblas|hdf5|compiler|flags|git_commit|dirty|kernel)$/) continue
        printf "| %s |", name[i]
        for (k = 1; k <= n; k++) { gsub(/\|/, "\\|", value[i, k]); printf " %s |", value[i, k] }
        printf "\n"
      }
    }' "$scratch/facts.tsv"
  echo
}

commands()
{
  echo "## Commands"
  echo
  echo "Each of these, from the checkout, makes one run again, or a folder of timings; \`FORCE=1 make reproduce PROFILE=$profile\` makes them all, and this page."
  echo
  echo '```'
  awk -F'\t' 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    $at["command"] != "" && $at["command"] != "none" && !seen[$at["command"]]++ { print $at["command"] }' "$scratch/facts.tsv" |
    sed -E "s|^[^ ]*minrnn |$minrnn |; s|$root/||g; s/ --(resume|force)\b//g; s/\$/ --force/"
  echo '```'
}

timings()
{
  local rows shape=("model=model" "device=device" "math=math" "width=D" "layers=L" "batch=B")
  local memory=("planned_bytes/1048576=planned, MiB" "device_bytes/1048576=counted, MiB")
  echo "## All timings"
  echo
  echo "Medians; in brackets of a heading: the percentiles 10 and 90. MiB planned: what the program allocates; least: what is live at one moment; counted: by the device or the operating system."
  echo
  rows=$(KEEP='v("status") == "complete" && v("mode") != "infer"' table "$data/cells.tsv" "${shape[@]}" "length=T" "mode=mode" "cache=caches" \
    "step_ms=step, ms" "step_p10_ms=(p10)" "step_p90_ms=(p90)" "tokens_per_s/1000=1000 tokens/s" "gemm_share/0.01=products alone, % of mixer" \
    "gemm_peak_share/0.01=% of measured product rate" "copy_share/0.01=% of copy rate" "launches=launches" "${memory[@]}" \
    "bound_bytes/1048576=least, MiB" "samples=samples" "trust=trust")
  [ -z "$rows" ] || printf '### Training steps\n\n%s\n\n' "$rows"
  rows=$(KEEP='v("status") == "complete" && v("mode") == "infer"' table "$data/cells.tsv" "${shape[@]}" "context=context" \
    "prefill_ms=reading it, ms" "prefill_p10_ms=(p10)" "prefill_p90_ms=(p90)" "prefill_tokens_per_s/1000=1000 tokens/s" \
    "token_ms/0.001=one more token, µs" "token_p10_ms/0.001=(p10)" "token_p90_ms/0.001=(p90)" "tokens_per_s/1000=1000 tokens/s" \
    "state_bytes=state of a sequence, bytes" "${memory[@]}" "trust=trust")
  [ -z "$rows" ] || printf '### Inference\n\n%s\n\n' "$rows"
}

{
  echo "# Were RNNs all we needed? Measured again"
  echo
  echo "Results of \`make reproduce PROFILE=$profile\`, ${#files[@]} run files, written $(date -u '+%Y-%m-%d %H:%M UTC')."
  [ "$profile" = paper ] || echo "This profile is smaller than the paper's experiments; what it can and cannot say is in the table of claims."
  echo
  claims
  speed
  tasks
  missing
  machine
  commands
  timings
} > "$scratch/report.md"

# The page: the same text with its figures inside.
{
  cat << 'EOF'
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Were RNNs all we needed? Measured again</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 72rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.7rem; line-height: 1.2; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #ddd; }
p { overflow-x: auto; overflow-wrap: anywhere; }
img { display: block; width: 100%; min-width: 48rem; height: auto; margin: 1.5rem 0 0.3rem; }
table { display: block; max-width: 100%; overflow-x: auto; border-collapse: collapse; font-size: 0.85rem; }
p + table td:first-child, table + table td:first-child { min-width: 13rem; }
table + table { margin-top: 1.5rem; }
th, td { padding: 0.25rem 0.6rem; border-bottom: 1px solid #e3e3e3; text-align: left; vertical-align: top; }
th { background: #f6f6f6; }
h3 + table { max-height: 40rem; overflow: auto; }
h3 + table th { position: sticky; top: 0; }
pre { overflow-x: auto; background: #f6f6f6; padding: 0.8rem; font-size: 0.8rem; }
em { color: #555; }
@page { margin: 1cm; }
@media print {
  body { max-width: none; padding: 0; font-size: 11px; }
  img { min-width: 0; }
  table, h3 + table { display: table; font-size: 8px; width: 100%; max-height: none; }
  h3 + table th { position: static; }
  table td:first-child { min-width: 0 !important; }
  th, td { padding: 0.15rem 0.25rem; }
  h3 + table th, h3 + table td { padding: 0.15rem 0.12rem; }
  td code { overflow-wrap: anywhere; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; }
  img, tr { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
}
</style>
</head>
<body>
EOF
  # Links to the PNGs are for the folder; the page stands alone.
  sed -E 's/ \[PNG\]\([^)]*\)//' "$scratch/report.md" | cmark-gfm -e table |
    while IFS= read -r line; do
      while [[ $line =~ src=\"\.\./figures/([A-Za-z0-9_.-]+)\.svg\" ]]; do
        name=${BASH_REMATCH[1]}
        line=${line//"../figures/$name.svg"/"data:image/svg+xml;base64,$(base64 -w 0 "$figures/$name.svg")"}
      done
      printf '%s\n' "$line"
    done
  printf '</body>\n</html>\n'
} > "$scratch/index.html"

mv "$scratch/report.md" "$scratch/index.html" "$report/"
echo "report: $report/index.html and report.md"
