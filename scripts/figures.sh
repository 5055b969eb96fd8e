#!/usr/bin/env bash
# figures.sh — draws the figures of one profile from its run files. SPDX-License-Identifier: MIT
#
#   scripts/figures.sh [PROFILE]      without one: the profile that was run last
#
# minrnn table -> results/figures/data/*.tsv -> plots/fig_*.gp -> results/figures/*.png and *.svg
# Runs or models that are missing are left out of the figures. Environment: PROFILE, MINRNN (the program,
# default build/minrnn) and RESULTS (folder of runs/ and figures/, default results).
set -euo pipefail
export LC_ALL=C.UTF-8

root=$(cd "$(dirname "$0")/.." && pwd)
profile=${1:-${PROFILE:-}}
minrnn=${MINRNN:-$root/${BUILD:-build}/minrnn}
results=${RESULTS:-$root/results}
figures=$results/figures
data=$figures/data
paper=$root/results/paper

die()
{
  echo "figures: $*" >&2
  exit 1
}

shopt -s nullglob
if [ -z "$profile" ]; then
  newest=
  for file in "$results"/runs/*/*.h5; do
    [ -z "$newest" ] || [ "$file" -nt "$newest" ] && newest=$file
  done
  [ -n "$newest" ] || die "no finished run (*.h5) in $results/runs, so there is nothing to draw; make reproduce makes them"
  profile=$(basename "$(dirname "$newest")")
fi
runs=$results/runs/$profile
files=("$runs"/*.h5)
cells=("$runs"/*/*.h5) # timings, a folder per experiment
shopt -u nullglob
if [ $((${#files[@]} + ${#cells[@]})) -eq 0 ]; then
  die "no finished run (*.h5) in $runs, so there is nothing to draw; make reproduce PROFILE=$profile makes them"
fi
[ -x "$minrnn" ] || die "the program $minrnn is missing; make build makes it"
command -v gnuplot > /dev/null || die "gnuplot is missing; Debian's package is gnuplot-nox"

mkdir -p "$data"
rm -f "$data"/*.tsv "$data"/*.txt "$figures"/{selective_copy_*,shakespeare,efficiency_*,inference,roofline,offline_rl}.{png,svg}
echo "$profile" > "$data/profile.txt"
# What the program tells of files as a table; a file that it cannot read it names and leaves out.
tell() # TABLE FILE...
{
  local table=$1
  shift
  if [ $# -gt 0 ]; then "$minrnn" table "$table" "$@" --format=tsv > "$data/$table.tsv" || true; fi
  [ -e "$data/$table.tsv" ] || : > "$data/$table.tsv"
}
tell summary "${files[@]}"
tell eval "${files[@]}"
tell cells "${cells[@]}"
# Lines go from left to right.
mapfile -t keys < <(head -n 1 "$data/cells.tsv" | tr '\t' '\n' | grep -nxE 'length|context|batch' | sed 's/:.*//; s/.*/-k&,&n/')
{
  head -n 1 "$data/cells.tsv"
  tail -n +2 "$data/cells.tsv" | sort -s -t $'\t' "${keys[@]}"
} > "$data/cells.sorted"
mv "$data/cells.sorted" "$data/cells.tsv"
# Ops are profiled in training steps that were timed, so other cells have no such table.
without=$(awk -F'\t' 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
  $at["status"] != "complete" || $at["step_ms"] == "nan" { print $at["run"] ".h5" }' "$data/cells.tsv")
profiled=()
for file in "${cells[@]}"; do grep -qxF "${file##*/}" <<< "$without" || profiled+=("$file"); done
tell ops "${profiled[@]}"

# Tables for the figures of one task; prints the number of runs in them, nothing when there is none.
shape() # SCRIPT FILE...
{
  local script=$1
  shift
  awk -v out="$data" -v profile="$profile" -f "$root/scripts/figures_common.awk" -f "$root/scripts/$script" "$@"
}
copies=$(shape figures.awk "$data/summary.tsv" "$data/eval.tsv" "$paper/selective_copy_models.tsv")
texts=$(shape figures_shakespeare.awk "$data/summary.tsv" "$data/eval.tsv")
sets=$(shape figures_offline_rl.awk "$data/summary.tsv" "$paper/offline_rl.tsv")
widths=$(shape figures_efficiency.awk "$data/cells.tsv" "$paper/efficiency.tsv")
answers=$(shape figures_inference.awk "$data/cells.tsv" "$paper/inference.tsv")
points=$(shape figures_roofline.awk "$data/cells.tsv" "$data/ops.tsv")
[ -n "$copies$texts$sets$widths$answers$points" ] ||
  die "nothing in $runs is complete, so there is nothing to draw; see minrnn table summary $runs/*.h5"

# The size and letters of a figure are those of the terminal; the scripts know neither.
draw() # NAME WIDTH HEIGHT [SCRIPT SETTING]
{
  local png svg vars script=$root/plots/fig_${4:-$1}.gp
  png="set terminal pngcairo size $((2 * $2)),$((2 * $3)) font 'DejaVu Sans,11' fontscale 2 linewidth 2 pointscale 2 background '#ffffff'"
  svg="set terminal svg size $2,$3 font 'DejaVu Sans,12' background '#ffffff' dynamic"
  vars="data = '$data'; paper = '$paper'; plots = '$root/plots'; ${5:-}"
  gnuplot -e "$vars; $png; set output '$figures/$1.png'" "$script"
  gnuplot -e "$vars; $svg; set output '$figures/$1.svg'" "$script"
  echo "figures: $figures/$1.png and .svg"
}

for width in $widths; do draw "efficiency_$width" 1100 590 efficiency "width = '$width'"; done
[ -z "$answers" ] || draw inference 1200 720
[ -z "$points" ] || draw roofline 960 580
if [ -n "$copies" ]; then
  bars=$(awk 'END { print NR - 1 }' "$data/models.tsv")
  draw selective_copy_curves 960 480
  draw selective_copy_models 800 $((150 + 34 * bars))
  draw selective_copy_layers 800 480
fi
[ -z "$texts" ] || draw shakespeare 960 500
if [ -n "$sets" ]; then
  n=$(awk 'END { print NR - 1 }' "$data/offline_rl_sets.tsv")
  draw offline_rl $((n < 5 ? 960 : 180 * n)) 500
fi
