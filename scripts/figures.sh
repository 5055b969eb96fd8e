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
shopt -u nullglob
if [ ${#files[@]} -eq 0 ]; then
  die "no finished run (*.h5) in $runs, so there is nothing to draw; make reproduce PROFILE=$profile makes them"
fi
[ -x "$minrnn" ] || die "the program $minrnn is missing; make build makes it"
command -v gnuplot > /dev/null || die "gnuplot is missing; Debian's package is gnuplot-nox"

mkdir -p "$data"
rm -f "$data"/*.tsv "$data"/*.txt "$figures"/{selective_copy_*,shakespeare,offline_rl}.{png,svg}
# A file that cannot be read is named by minrnn and left out.
"$minrnn" table summary "${files[@]}" --format=tsv > "$data/summary.tsv" || true
"$minrnn" table eval "${files[@]}" --format=tsv > "$data/eval.tsv" || true

# Tables for the figures of one task; prints the number of runs in them, nothing when there is none.
shape() # SCRIPT FILE...
{
  local script=$1
  shift
  awk -v out="$data" -v profile="$profile" -f "$root/scripts/figures_common.awk" -f "$root/scripts/$script" "$@"
}
copies=$(shape figures.awk "$data/summary.tsv" "$data/eval.tsv" "$paper/selective_copy_models.tsv")
texts=$(shape figures_shakespeare.awk "$data/summary.tsv" "$data/eval.tsv")
plays=$(shape figures_offline_rl.awk "$data/summary.tsv" "$paper/offline_rl.tsv")
[ -n "$copies$texts$plays" ] ||
  die "no run in $runs is a complete one of selective_copy, shakespeare or offline_rl; see minrnn table summary $runs/*.h5"

# The size and letters of a figure are those of the terminal; the scripts know neither.
draw() # NAME WIDTH HEIGHT
{
  local png svg vars
  png="set terminal pngcairo size $((2 * $2)),$((2 * $3)) font 'DejaVu Sans,11' fontscale 2 linewidth 2 pointscale 2 background '#ffffff'"
  svg="set terminal svg size $2,$3 font 'DejaVu Sans,12' background '#ffffff' dynamic"
  vars="data = '$data'; paper = '$paper'; plots = '$root/plots'"
  gnuplot -e "$vars; $png; set output '$figures/$1.png'" "$root/plots/fig_$1.gp"
  gnuplot -e "$vars; $svg; set output '$figures/$1.svg'" "$root/plots/fig_$1.gp"
  echo "figures: $figures/$1.png and .svg"
}

if [ -n "$copies" ]; then
  bars=$(awk 'END { print NR - 1 }' "$data/models.tsv")
  draw selective_copy_curves 960 480
  draw selective_copy_models 800 $((150 + 34 * bars))
  draw selective_copy_layers 800 480
fi
[ -z "$texts" ] || draw shakespeare 960 500
if [ -n "$plays" ]; then
  sets=$(awk 'END { print NR - 1 }' "$data/offline_rl_sets.tsv")
  draw offline_rl $((sets < 5 ? 960 : 180 * sets)) 500
fi
