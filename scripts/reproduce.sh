#!/usr/bin/env bash
# reproduce.sh — runs the experiments of a profile, then draws the figures. SPDX-License-Identifier: MIT
#
#   scripts/reproduce.sh [PROFILE]
#
# PROFILE is smoke, cpu (the default) or paper: a file scripts/experiments/profile_<PROFILE>.txt with one
# run per line, the arguments of `minrnn train`: an experiment file beside it, then --key=value. A line
# that starts with another command of minrnn, such as bench, measures: it has the machine to itself and
# writes a file per cell into a folder named after the experiment file, where finished cells are kept.
# Finished runs are left as they are, interrupted ones resumed; where minrnn refuses either, because the
# settings or the number of threads are others now, the run is started again, and this is said. After a
# failed run the others go on; the failed ones are named at the end, and the exit code is 1 (3 when the time
# was over before the end). A text that the profile needs is fetched; where that cannot be, runs on it are
# SKIPPED, which is no failure, as are others that miss something here; each tells what. Environment:
#   MINRNN    the program, default build/minrnn
#   RESULTS   folder of runs/ and figures/, default results
#   PARALLEL  runs side by side; with more than one, each has one thread. Default: one per core for smoke
#             and cpu, whose small runs gain little from a second thread, and 1 for other profiles
#   FORCE=1   run again what is finished
#   DEVICE    cpu or cuda, for training; default: cuda for paper where there is one, else what the experiment says
#   ONLY      a regular expression: only runs whose name it fits, e.g. '^shakespeare.*-seed1$'
#   LIMIT     seconds after which runs are stopped and no other is started; the same command goes on with
#             them. For machines that are to be had for a while only
#   MINRNN_DATA  folder of the text, default data/ in the checkout
set -uo pipefail
export LC_ALL=C.UTF-8

root=$(cd "$(dirname "$0")/.." && pwd)
profile=${1:-${PROFILE:-cpu}}
minrnn=${MINRNN:-$root/${BUILD:-build}/minrnn}
results=${RESULTS:-$root/results}
case $profile in smoke | cpu) parallel=$(nproc) ;; *) parallel=1 ;; esac
parallel=${PARALLEL:-$parallel}
experiments=$root/scripts/experiments
list=$experiments/profile_$profile.txt
runs=$results/runs/$profile

refuse()
{
  echo "reproduce: $*" >&2
  exit 2
}

if [ ! -f "$list" ]; then
  known=$(cd "$experiments" && printf '%s\n' profile_*.txt | sed 's/^profile_//; s/\.txt$//' | paste -sd ' ')
  refuse "no profile named '$profile'; there are: $known"
fi
[ -x "$minrnn" ] || refuse "the program $minrnn is missing; make build makes it"
case $parallel in
  '' | *[!0-9]* | 0) refuse "PARALLEL=$parallel is not a number of runs, 1 or more" ;;
esac

limit=${LIMIT:-0}
case $limit in
  '' | *[!0-9]*) refuse "LIMIT=$limit is not a number of seconds, 0 (none) or more" ;;
esac

# Does this line measure, instead of training?
measures() { [[ $1 != *.cfg ]]; }

# A run is named after its line: "x.cfg --model=gru --layers=2" is x-gru-layers2; "bench x.cfg ..." is x.
name_of()
{
  local word name
  if measures "$1"; then
    basename "$2" .cfg
    return
  fi
  name=$(basename "$1" .cfg)
  shift
  for word in "$@"; do
    case $word in
      --model=*) name=$name-${word#--model=} ;;
      *) word=${word#--} && name=$name-${word%%=*}${word#*=} ;;
    esac
  done
  printf '%s' "$name" | tr -c 'A-Za-z0-9_.+-' '_'
}

mkdir -p "$runs" || refuse "cannot make the folder $runs"
# Runs in the background do not get the terminal's interrupt, so it is handed on.
# shellcheck disable=SC2317
stop()
{
  trap - INT TERM
  jobs -p | xargs -r kill 2> /dev/null
  wait
  echo "reproduce: stopped; the same command goes on from here" >&2
  exit 130
}
trap stop INT TERM

mapfile -t lines < <(sed 's/#.*//; s/[[:space:]]*$//; s/^[[:space:]]*//; /^$/d' "$list")
[ "${#lines[@]}" -gt 0 ] || refuse "$list names no run"
if [ -n "${ONLY:-}" ]; then
  for i in "${!lines[@]}"; do
    read -ra words <<< "${lines[$i]}"
    [[ $(name_of "${words[@]}") =~ $ONLY ]] || unset "lines[i]"
  done
  lines=("${lines[@]}")
fi
total=${#lines[@]}
[ "$total" -gt 0 ] || refuse "no run in $list has a name that ONLY=$ONLY fits"
device=${DEVICE:-}
if [ -z "$device" ] && [ "$profile" = paper ] && "$minrnn" info --device=cuda > /dev/null 2>&1; then
  device=cuda
fi
names=()
started=$SECONDS

# Texts are not part of the source.
export MINRNN_DATA=${MINRNN_DATA:-$root/data}
for line in "${lines[@]}"; do
  [ ! -e "$MINRNN_DATA/tinyshakespeare.txt" ] || break
  grep -qsE '^task *= *shakespeare\b' "$experiments/${line%% *}" || continue
  "$root/scripts/fetch_data.sh" || true
  break
done

# What the file $2 of a run says in column $1: its status (complete, failed, skipped) or the reason.
fact_of()
{
  "$minrnn" table facts "$2" --format=tsv |
    awk -F'\t' -v name="$1" 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i } NR == 2 { print $at[name] }'
}

# How to start the run whose file is $1: minrnn skips a complete run and goes on with an interrupted one
# when told to resume. A failed run, or what is left of one, is started again.
mode_of()
{
  if [ "${FORCE:-0}" != 0 ]; then
    echo --force
  elif [ -e "$1" ]; then
    if [ "$(fact_of status "$1")" = complete ]; then echo --resume; else echo --force; fi
  elif [ -e "$1.part" ]; then
    echo --resume
  elif [ -e "${1%.h5}.last.ckpt" ] || [ -e "${1%.h5}.best.ckpt" ]; then
    echo --force
  fi
}

# Puts what keeps a command within the limit into `within`; false when the time is over.
take_time()
{
  within=()
  [ "$limit" -gt 0 ] || return 0
  local rest=$((limit - (SECONDS - started)))
  [ "$rest" -gt 0 ] || return 1
  within=(timeout --signal=TERM --kill-after=60 "$rest")
}

# Starts run $1; its standard error and exit code are minrnn's.
train()
{
  local words
  read -ra words <<< "${lines[$1]}"
  words[0]=$experiments/${words[0]}
  words+=(${device:+"--device=$device"} "--out=$runs/${names[$1]}.h5" ${modes[$1]:+"${modes[$1]}"})
  [ "$parallel" -eq 1 ] || words+=(--threads=1 --quiet)
  if [ "$parallel" -eq 1 ]; then
    "${within[@]}" "$minrnn" train "${words[@]}"
  else
    "${within[@]}" "$minrnn" train "${words[@]}" &
    run_of[$!]=$1
  fi
}

# Measures line $1; its standard error and exit code are minrnn's.
measure()
{
  local words
  read -ra words <<< "${lines[$1]}"
  words[1]=$experiments/${words[1]}
  words+=("--out=$runs/${names[$1]}")
  [ "${FORCE:-0}" = 0 ] || words+=(--force)
  "${within[@]}" "$minrnn" "${words[@]}"
}

# True when exit code $2 of run $1 says that it cannot be resumed; it is to be started again then.
refused_to_resume()
{
  [ "$2" = 2 ] && [ "${modes[$1]}" = --resume ] || return 1
  modes[$1]=--force
  echo "run $(($1 + 1)) of $total: ${names[$1]} cannot be resumed, so it starts again"
}

# Waits until one of the runs in the background has ended.
await_one()
{
  local pid i code=0
  wait -n -p pid || code=$?
  if [ -z "${pid:-}" ]; then # all have ended; bash still knows the code of each
    for pid in "${!run_of[@]}"; do break; done
    code=0
    wait "$pid" || code=$?
  fi
  i=${run_of[pid]}
  unset "run_of[pid]"
  if refused_to_resume "$i" "$code"; then
    if take_time; then
      train "$i"
      return
    fi
    code=124
  fi
  codes[i]=$code
  echo "run $((i + 1)) of $total: ${names[i]} ended with exit code $code"
}

codes=()
modes=()
run_of=()
for i in "${!lines[@]}"; do
  read -ra words <<< "${lines[$i]}"
  names[i]=$(name_of "${words[@]}")
  if measures "${words[0]}"; then
    while [ ${#run_of[@]} -gt 0 ]; do await_one; done
  elif [ "$parallel" -gt 1 ]; then
    while [ ${#run_of[@]} -ge "$parallel" ]; do await_one; done
  fi
  if ! take_time; then
    codes[i]=124
    continue
  fi
  if measures "${words[0]}"; then
    echo "run $((i + 1)) of $total: ${words[0]} ${names[i]}"
    measure "$i"
    codes[i]=$?
    continue
  fi
  modes[i]=$(mode_of "$runs/${names[$i]}.h5")
  echo "run $((i + 1)) of $total: ${names[$i]}"
  train "$i"
  code=$?
  [ "$parallel" -eq 1 ] || continue
  if refused_to_resume "$i" "$code"; then
    code=124
    if take_time; then
      train "$i"
      code=$?
    fi
  fi
  codes[i]=$code
done
while [ ${#codes[@]} -lt "$total" ]; do await_one; done

failed=()
skipped=()
left=()
for i in "${!names[@]}"; do
  if [ "$limit" -gt 0 ] && [ "${codes[$i]}" = 124 ]; then
    left+=("${names[$i]}")
  elif [ "${codes[$i]}" != 0 ]; then
    failed+=("${names[$i]}")
  elif measures "${lines[$i]%% *}"; then
    continue # its skipped cells are in its own table
  elif [ "$(fact_of status "$runs/${names[$i]}.h5")" = skipped ]; then
    skipped+=("${names[$i]}: $(fact_of reason "$runs/${names[$i]}.h5")")
  fi
done

complete=$((total - ${#failed[@]} - ${#skipped[@]} - ${#left[@]}))
echo "reproduce: $complete of $total runs are complete after $((SECONDS - started)) s, in $runs"
if [ ${#skipped[@]} -gt 0 ]; then
  printf 'reproduce: SKIPPED: %s\n' "${skipped[@]}"
  echo "reproduce: once nothing is in their way, the same command runs these too"
fi
code=0
MINRNN=$minrnn RESULTS=$results "$root/scripts/figures.sh" "$profile" || code=1
MINRNN=$minrnn RESULTS=$results "$root/scripts/report.sh" "$profile" || code=1
if [ ${#left[@]} -gt 0 ]; then
  printf 'reproduce: LEFT: %s\n' "${left[@]}"
  echo "reproduce: the $limit s are over; the same command goes on from here"
  code=3
fi
if [ ${#failed[@]} -gt 0 ]; then
  printf 'reproduce: failed: %s\n' "${failed[@]}" >&2
  code=1
fi
exit $code
