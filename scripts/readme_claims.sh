#!/usr/bin/env bash
# readme_claims.sh — writes the table of claims in README.md from results/reference/*/claims.tsv.
# SPDX-License-Identifier: MIT
#
#   scripts/readme_claims.sh            rewrites what stands between the two markers
#   scripts/readme_claims.sh --check    changes nothing; exit code 1 when the table is not current
#
# The headline claims that were run are shown; the others are counted. README and REFERENCE name another page
# and another folder than results/reference.
set -euo pipefail
export LC_ALL=C.UTF-8

root=$(cd "$(dirname "$0")/.." && pwd)
readme=${README:-$root/README.md}
reference=${REFERENCE:-$root/results/reference}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

case ${1:-} in
  '' | --check) ;;
  *) echo "readme_claims: unknown word $1; allowed is --check" >&2; exit 2 ;;
esac

for file in "$reference"/*/claims.tsv; do
  [ -s "$file" ] || continue
  name=$(basename "$(dirname "$file")")
  awk -F'\t' -v name="$name" '
    function v(key) { return $at[key] }
    function number(x) { return sprintf("%.4g", x) }
    function value(x) { return x == "nan" ? "" : x (v("unit") == "percent" ? " %" : "") }
    NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    !(v("verdict") in count) { order[++kinds] = v("verdict") }
    { count[v("verdict")]++ }
    v("verdict") == "not run" || v("id") !~ /^(speed-|memory-|layers-min[a-z]+-[13]$|text-loss-|text-steps-|steps-|rl-.*-average$)/ { next }
    !rows++ {
      machine = v("machine")
      print "| claim | published | ours, its method | ours, fair method | verdict |"
      print "|---|---|---|---|---|"
    }
    {
      published = number(v("published")) (v("deviation") == "nan" ? "" : " ± " number(v("deviation")))
      setting = v("setting") == "" ? "" : " (" v("setting") ")"
      printf "| %s%s | %s | %s | %s | %s |\n", v("claim"), setting, value(published), value(number(v("paper_ours"))),
        value(number(v("fair_ours"))), v("verdict") (v("reason") == "" ? "" : ": " v("reason"))
    }
    END {
      if (!rows) exit
      print ""
      printf "All claims on this machine (%s):", machine
      for (k = 1; k <= kinds; k++) printf "%s %d %s", (k > 1 ? "," : ""), count[order[k]], order[k]
      printf "; [claims.tsv](results/reference/%s/claims.tsv) has the machine, the commands and what differs from the paper.\n\n", name
    }' "$file"
done > "$tmp/table"
grep -q '^| claim ' "$tmp/table" || { echo "readme_claims: no claim was judged in $reference/*/claims.tsv; scripts/reference.sh writes them" >&2; exit 1; }
awk -v table="$tmp/table" '
  $0 == "<!-- claims: end -->" && inside { inside = 0; ends++ }
  !inside { print }
  $0 == "<!-- claims: begin -->" {
    inside = 1
    while ((getline line < table) > 0) print line
  }
  END { exit ends != 1 }' "$readme" > "$tmp/readme" ||
  { echo "readme_claims: $readme lacks the markers of the table" >&2; exit 1; }

cmp -s "$readme" "$tmp/readme" && exit 0
if [ "${1:-}" = --check ]; then
  echo "readme_claims: the claims in README.md are not those of $reference; run scripts/readme_claims.sh" >&2
  diff "$readme" "$tmp/readme" >&2 || true
  exit 1
fi
cat "$tmp/readme" > "$readme"
