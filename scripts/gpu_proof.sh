#!/usr/bin/env bash
# gpu_proof.sh FOLDER [PART...] — everything that wants a GPU once, in under ten minutes: parity and
# repeatability of every op and model, compute-sanitizer on small cases, op timings against measured copy and
# product rates, step timings with fused, vendor and loop forms, a short training of each task, PyTorch beside
# it where it is installed. SPDX-License-Identifier: MIT
#
# Run from the project's folder or from an unpacked bundle. Logs, run files (HDF5), tables and summary.txt go to
# FOLDER as they come. Correctness comes first; what fails or takes too long is told, and the rest goes on.
# Finished timings in FOLDER are kept, so the same command goes on after a cut. PARTs, all in this order by
# default: info check double sanitizer fused algorithms peers eager loops train widths inference tf32 compiled
# long_loops. Exit code 0 when every step ended well. Environment:
#   MINRNN        the program, default build/minrnn
#   DEVICE        cuda; cpu tries the script itself on a machine without a GPU
#   LIMIT         seconds for all parts together, default 540
#   LIMITS        other limits of parts, such as "sanitizer=300 peers=0"; 0 leaves the part out
#   ARCHIVE       a .tar.gz of FOLDER, written anew after every part
#   PYTHON        python3 with PyTorch, default python3
#   MINRNN_CUDNN  libcudnn.so.9; MINRNN_CUBLASLT libcublasLt.so; default: the system's, or else those beside
#                 PyTorch
#   SIZE=small    tiny shapes, to try the script
set -uo pipefail
export LC_ALL=C.UTF-8

out=${1:?usage: gpu_proof.sh FOLDER [PART...]}
shift
mkdir -p "$out" || exit 1
out=$(realpath "$out")
archive=${ARCHIVE:+$(realpath -m "$ARCHIVE")}
cd "$(dirname "$0")/.." || exit 1
minrnn=$(realpath "${MINRNN:-build/minrnn}")
export MINRNN=$minrnn
device=${DEVICE:-cuda}
limit=${LIMIT:-540}
python=${PYTHON:-python3}
summary=$out/summary.txt
cells=$out/cells
started=$SECONDS
bad=()

all=(info check double sanitizer fused algorithms peers eager loops train widths inference tf32 compiled long_loops)
# The most seconds that a part may take.
declare -A most=([info]=60 [check]=200 [double]=120 [sanitizer]=60 [fused]=90 [algorithms]=60 [peers]=120 [eager]=45
  [loops]=90 [train]=90 [widths]=75 [inference]=60 [tf32]=75 [compiled]=120 [long_loops]=90)

say() { echo "$*" | tee -a "$summary"; }
refuse() { echo "gpu_proof: $*" >&2; exit 2; }

(($#)) && parts=("$@") || parts=("${all[@]}")
for part in "${parts[@]}"; do
  [ -n "${most[$part]:-}" ] || refuse "no part named $part; there are: ${all[*]}"
done
for word in ${LIMITS:-}; do
  [[ $word =~ ^([a-z_0-9]+)=([0-9]+)$ && -n ${most[${BASH_REMATCH[1]}]:-} ]] ||
    refuse "LIMITS has $word; allowed: PART=SECONDS"
  most[${BASH_REMATCH[1]}]=${BASH_REMATCH[2]}
done
[ -x "$minrnn" ] || refuse "the program $minrnn is missing"

# Seconds left of the part in hand and of the whole.
rest()
{
  local of_part=$((most[$part] - (SECONDS - begun))) of_all=$((limit - (SECONDS - started)))
  echo $((of_part < of_all ? of_part : of_all))
}

# One step: NAME, the most seconds it may take, and its command. Its output goes to NAME.log.
step()
{
  local name=$1 least=$2 left code=0 from=$SECONDS
  shift 2
  left=$(rest)
  [ "$least" -lt "$left" ] && left=$least
  if [ "$left" -le 3 ]; then
    say "$name: not begun, the time is over"
    bad+=("$name")
    return 1
  fi
  timeout --signal=TERM --kill-after=10 "$left" "$@" > "$out/$name.log" 2>&1 || code=$?
  case $code in
    0) say "$name: ok, $((SECONDS - from)) s" ;;
    77) say "$name: $(tail -n 1 "$out/$name.log")" && code=0 ;;
    124 | 137) say "$name: cut after $left s" ;;
    *) say "$name: FAILED with exit code $code: $(grep . "$out/$name.log" | tail -n 1)" ;;
  esac
  [ "$code" = 0 ] || bad+=("$name")
  return "$code"
}

# cuDNN and cuBLASLt come with PyTorch where the system has none.
beside() # LIBRARY
{
  ldconfig -p 2> /dev/null | grep -q "$1" && return
  "$python" -c 'import nvidia; print(*nvidia.__path__, sep="\n")' 2> /dev/null |
    while read -r folder; do find "$folder" -name "$1" 2> /dev/null; done | head -n 1
}
if [ "$device" = cuda ]; then
  [ -n "${MINRNN_CUDNN:-}" ] || MINRNN_CUDNN=$(beside libcudnn.so.9)
  # The version of CUDA that the program was made with, as cuDNN for it.
  if [ -z "${MINRNN_CUBLASLT:-}" ] && [ ! -e /usr/local/cuda/lib64/libcublasLt.so.13 ]; then
    MINRNN_CUBLASLT=$(beside libcublasLt.so.13)
  fi
  # Libraries find each other there too.
  for library in "${MINRNN_CUDNN:-}" "${MINRNN_CUBLASLT:-}"; do
    [ -z "$library" ] || LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$(dirname "$library")
  done
  export MINRNN_CUDNN MINRNN_CUBLASLT LD_LIBRARY_PATH
fi
sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2> /dev/null)

if [ "${SIZE:-full}" = small ]; then
  short=16 middle=32 long=64 batch=2 width=16 widths=8,24 seconds=0.01 steps=10 rounds=1 samples=1
else
  short=64 middle=512 long=4096 batch=64 width=128 widths=64,384 seconds=0.3 steps=300 rounds=5 samples=3
fi
fused=mingru,minlstm,gru,lstm,mamba,transformer,gru_vendor,lstm_vendor
loops=gru_loop,lstm_loop,mingru_smallops,minlstm_smallops
math=tf32
[ "$device" = cuda ] || math=f32

bench() # NAME WORDS...
{
  local name=$1
  shift
  step "$name" 999 "$minrnn" bench --task=selective_copy --selective_copy.data_tokens=1 --device="$device" --layers=1 \
    --batch="$batch" --seconds="$seconds" --out="$cells" "$@"
}

train() # TASK WORDS...
{
  local task=$1
  shift
  step "train_$task" 60 "$minrnn" train --task="$task" --device="$device" --steps="$steps" --eval_every="$steps" \
    --eval_batches=4 --quiet --force --out="$out/train_$task.h5" "$@" && say "$(tail -n 3 "$out/train_$task.log")"
}

peers() # NAME FORMS MATH
{
  if ! "$python" -c 'import torch' 2> /dev/null; then
    say "$1: no PyTorch in $python, left out"
    return
  fi
  step "$1" 999 "$python" scripts/peers/time_all.py --device="$device" --math="$3" --rounds="$rounds" \
    --samples="$samples" --forms="$2" --batch="$batch" --length="$middle" --width="$width" --out="$out/$1.tsv" &&
    say "$(tail -n +2 "$out/$1.log")"
}

# ---- Parts: right first ----------------------------------------------------------------------------
part_info()
{
  command -v nvidia-smi > /dev/null && step smi 20 nvidia-smi
  step info 60 "$minrnn" info --device="$device" && say "$(grep -E '^(gpu|driver|cuda|cublas|copy|gemm) ' "$out/info.log")"
}

# All in one process; where that does not hold, once more one by one and waiting for each kernel, so that
# what breaks a device is found and the rest is known.
part_check()
{
  local name word=()
  [ "$device" = cpu ] || word=(--device=cuda)
  step check 150 "$minrnn" check "${word[@]}" --all && say "$(tail -n 1 "$out/check.log")" && return
  grep -A 1 '^FAIL' "$out/check.log" | head -n 20 | tee -a "$summary"
  for name in $("$minrnn" check --list | sed 's/:.*/:/' | sort -u) \
    $("$minrnn" list | sed -n '/^tasks/q; s/^  \([a-z][a-z0-9_]*\) .*/model:\1:/p'); do
    MINRNN_SYNC=1 step "check_${name//:/_}" 30 "$minrnn" check "${word[@]}" "${name%:}" > /dev/null ||
      say "$name $(grep -A 1 '^FAIL' "$out/check_${name//:/_}.log" | head -n 4)"
  done
}

part_double()
{
  local beside test
  beside=$(dirname "$minrnn")
  for test in "$beside/tests/test_gpu_f64" "$beside/test_gpu_f64" none; do [ ! -x "$test" ] || break; done
  [ "$test" != none ] || { say "double: no test_gpu_f64 beside $minrnn, left out" && return; }
  step double 999 stdbuf -oL "$test"
}

# A few cases of each kind of kernel; the whole table takes too long under it.
part_sanitizer()
{
  local name
  if [ "$device" != cuda ] || [ -z "$sanitizer" ]; then
    say "sanitizer: no GPU or no compute-sanitizer, left out"
    return
  fi
  for name in mingru_seq:B2 gru_seq:B2 attention lstm_seq:B2 selective_scan minlstm_seq:B2 scan softmax_xent linear \
    rmsnorm embed conv1d; do
    step "memcheck_${name%%:*}" 40 "$sanitizer" --tool memcheck --error-exitcode 9 "$minrnn" check --device=cuda "$name"
  done
  for name in mingru_seq:B2 gru_seq:B2 attention lstm_seq:B2 selective_scan; do
    step "racecheck_${name%%:*}" 40 "$sanitizer" --tool racecheck --error-exitcode 9 "$minrnn" check --device=cuda "$name"
  done
}

# ---- Then fast -------------------------------------------------------------------------------------
part_fused() { bench fused --model=$fused --length=$short,$middle,$long --width=$width; }
part_eager() { bench eager --model=$fused --length=$middle --width=$width --graph=0; }
part_loops() { bench loops --model=$loops --length=$short,$middle --width=$width --graph=1,0; }
part_long_loops() { bench long_loops --model=$loops --length=$long --width=$width; }
part_widths() { bench widths --model=$fused --length=$middle,$long --width=$widths; }
part_tf32() { bench tf32 --model=$fused --length=$middle,$long --width=$width,"$widths" --math=$math; }
part_algorithms()
{
  local algo
  for algo in standard persist_static persist_static_small_h persist_dynamic; do
    bench "cudnn_$algo" --model=gru_vendor,lstm_vendor --gru_vendor.algo=$algo --lstm_vendor.algo=$algo \
      --length=$middle --width=$width
  done
}
part_inference()
{
  step inference 999 "$minrnn" infer --device="$device" --model=mingru,minlstm,gru,lstm,mamba,transformer \
    --batch=1,$batch --context=$middle --width=$width --layers=3 --seconds=$seconds --out="$out/inference" &&
    say "$(cat "$out/inference.log")"
}

# ---- And it learns ---------------------------------------------------------------------------------
part_train()
{
  local text=${MINRNN_DATA:-data}/tinyshakespeare.txt
  train selective_copy --model=mingru --length=64 --lr=3e-3
  if [ ! -e "$text" ]; then
    text=$out/text.txt
    cat README.md scripts/*.sh scripts/peers/*.py plots/* > "$text"
    say "train_shakespeare: no tinyshakespeare.txt, so it reads the project's own files"
  fi
  train shakespeare --model=mingru --length=64 --width=64 --shakespeare.file="$text" --shakespeare.eval=random
  train offline_rl --model=mingru
}

# ---- Beside PyTorch --------------------------------------------------------------------------------
plain='nn.GRU,nn.LSTM,nn.GRUCell loop,nn.LSTMCell loop,minGRU log space,minLSTM log space,attention'
part_peers()
{
  peers peers_f32 "$plain" f32
  [ "$device" != cuda ] || peers peers_tf32 "$plain" tf32
}
part_compiled()
{
  [ "$device" != cuda ] || peers peers_compiled_f32 compiled f32
}

# ---- Tables, of all that is there ------------------------------------------------------------------
tables()
{
  local group
  compgen -G "$cells/*.h5" > /dev/null || return
  for group in cells ops; do
    "$minrnn" table $group "$cells" --format=tsv > "$out/$group.tsv" 2> "$out/$group.log"
  done
  {
    echo "share of the measured copy bandwidth at batch $batch, length $long, width $width, by op (least bytes it must"
    echo "move / its time; small arrays stay in a cache), and the model it was best in:"
    awk -F'\t' -v shape="-b${batch}t${long}d${width}l1-f32-" '
      FNR == 1 { part++; split("", at); for (i = 1; i <= NF; i++) at[$i] = i; next }
      part == 1 { copy[$at["run"]] = $at["copy_bytes_per_s"]; next }
      copy[$at["run"]] > 0 && index($at["run"], shape) {
        key = sprintf("%-20s %-9s", $at["name"], $at["pass"]); share = 100 * $at["bytes_per_s"] / copy[$at["run"]]
        if (share > best[key]) { best[key] = share; where[key] = $at["model"] } }
      END { for (key in best) printf "  %s %6.1f %%  %s\n", key, best[key], where[key] }
      ' "$out/cells.tsv" "$out/ops.tsv" | sort
    echo
    echo "training step, ms (median), by model, batch, length, width, math, mode:"
    awk -F'\t' 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
      $at["status"] == "complete" && $at["step_ms"] > 0 {
        printf "  %-18s %4s %6s %4s %-4s %-6s %10.4g  %s\n", $at["model"], $at["batch"], $at["length"], $at["width"],
          $at["math"], $at["mode"], $at["step_ms"], $at["trust"] == "mistrusted" ? $at["reason"] : "" }
      $at["status"] != "complete" { printf "  %-18s %s: %s\n", $at["model"], $at["status"], $at["reason"] }
      ' "$out/cells.tsv" | sort -u
  } > "$out/timings.txt"
}

say "$(date -u +%FT%TZ) gpu_proof ${parts[*]}"
for part in "${parts[@]}"; do
  [ "${most[$part]}" -gt 0 ] || continue
  begun=$SECONDS
  "part_$part"
  tables
  [ -z "$archive" ] || tar -C "$(dirname "$out")" -czf "$archive.part" "$(basename "$out")" &&
    mv "$archive.part" "$archive" 2> /dev/null
done
[ ! -e "$out/timings.txt" ] || { echo && cat "$out/timings.txt"; } | tee -a "$summary"
say ""
if ((${#bad[@]})); then
  say "$((SECONDS - started)) s in all; NOT WELL: ${bad[*]}"
else
  say "$((SECONDS - started)) s in all; every step ended well"
fi
[ -z "$archive" ] || tar -C "$(dirname "$out")" -czf "$archive" "$(basename "$out")"
exit $((${#bad[@]} > 0))
