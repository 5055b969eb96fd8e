#!/usr/bin/env bash
# reference.sh — keeps the results of a profile as plain tables in results/reference/NAME, with the commands and
# the machine that made them. SPDX-License-Identifier: MIT
#
#   scripts/reference.sh NAME [PROFILE]      NAME is the machine's, such as h200; PROFILE default: cpu
#
# Writes summary.tsv (tasks), cells.tsv (what was timed), crossover.tsv, claims.tsv, offline_rl.tsv (acting, over
# seeds), machine.tsv, commands.txt and the figures as PNG; other files in the folder are left alone.
# scripts/readme_claims.sh makes README's table of claims of it. Environment: MINRNN (the program, default
# build/minrnn), RESULTS (folder of runs/ and figures/, default results) and REFERENCE (instead of
# results/reference).
set -euo pipefail
export LC_ALL=C.UTF-8

root=$(cd "$(dirname "$0")/.." && pwd)
minrnn=${MINRNN:-$root/${BUILD:-build}/minrnn}
results=${RESULTS:-$root/results}

die()
{
  echo "reference: $*" >&2
  exit 2
}

name=${1:-}
profile=${2:-cpu}
[[ $name =~ ^[a-z0-9][a-z0-9-]*$ ]] || die "the machine's name '$name' is not made of small letters, digits and hyphens"
runs=$results/runs/$profile
[ -d "$runs" ] || die "no runs in $runs; make reproduce PROFILE=$profile makes them"
folder=${REFERENCE:-$root/results/reference}/$name
mkdir -p "$folder"

# A table of the files whose paths come on standard input, with paths as from the checkout. A file that cannot
# be read is named by minrnn and left out.
keep()
{
  local to=$1
  shift
  mapfile -t files
  [ ${#files[@]} -gt 0 ] || return 0
  "$minrnn" table "$@" "${files[@]}" --format=tsv > "$folder/$to" || true
  sed -i "s|$root/||g" "$folder/$to"
}

find "$runs" -maxdepth 1 -name '*.h5' | sort | keep summary.tsv summary
find "$runs" -mindepth 2 -name '*.h5' | sort | keep cells.tsv cells
find "$runs" -name '*.h5' | sort | keep facts.tsv facts
# A row per machine and build, and every command once.
awk -F'\t' '
  NR == 1 { for (i = 1; i <= NF; i++) name[i] = $i }
  {
    row = ""
    for (i = 1; i <= NF; i++)
      if (name[i] !~ /^(run|experiment|status|trust|reason|started|finished|command|load|.*_per_s)$/) row = row (row == "" ? "" : "\t") $i
    if (row !~ /^(nan\t)*nan$/ && !seen[row]++) print row
  }' "$folder/facts.tsv" > "$folder/machine.tsv"
awk -F'\t' 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "command") at = i; next } $at != "nan" && !seen[$at]++ { print $at }' \
  "$folder/facts.tsv" > "$folder/commands.txt"
rm "$folder/facts.tsv"
"$minrnn" crossover --runs="$runs" --format=tsv > "$folder/crossover.tsv" || true
"$minrnn" verify --claims="$root/results/paper/claims.tsv" --runs="$runs" --tsv > "$folder/claims.tsv" || true
sed -i "s|$root/||g" "$folder/claims.tsv"
rm -f "$folder"/*.png
cp "$results"/figures/*.png "$folder/"
[ ! -e "$results/figures/data/offline_rl.tsv" ] || cp "$results/figures/data/offline_rl.tsv" "$folder/"
echo "reference: $(find "$folder" -type f | wc -l) files in $folder"
