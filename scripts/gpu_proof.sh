#!/usr/bin/env bash
# gpu_proof.sh FOLDER [PART...] — everything that wants a GPU once, in under ten minutes: parity and
# repeatability of every op and model, compute-sanitizer on small cases, op timings against measured copy and
# product rates, step timings with fused, vendor and loop forms, a short training of each task, PyTorch beside
# it where it is installed. SPDX-License-Identifier: MIT
#
# Run from the project's folder or from an unpacked bundle. Logs, run files (HDF5), tables and summary.txt go to
# FOLDER as they come. Correctness comes first; what fails or takes too long is told, and the rest goes on.
# Finished timings in FOLDER are kept, so the same command goes on after a cut. PARTs, all in this order by
# default: info check double sanitizer fused algorithms widths peers train steps eager loops tf32 inference
# compiled long_loops. Exit code 0 when every step ended well. Environment:
#   MINRNN        the program, default build/minrnn
#   DEVICE        cuda; cpu tries the script itself on a machine without a GPU
#   LIMIT         seconds for all parts together, default 540
#   LIMITS        other limits of parts, such as "sanitizer=300 peers=0"; 0 leaves the part out
#   ARCHIVE       a .tar.gz of FOLDER, written anew after every part
#   SANITIZER     compute-sanitizer; default: the system's or CUDA's, none without a GPU
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

all=(info check double sanitizer fused algorithms widths peers train steps eager loops tf32 inference compiled
  long_loops)
# The most seconds that a part may take.
declare -A most=([info]=60 [check]=200 [double]=120 [sanitizer]=150 [fused]=90 [algorithms]=60 [peers]=120 [eager]=45
  [loops]=90 [train]=90 [steps]=170 [widths]=75 [inference]=60 [tf32]=75 [compiled]=120 [long_loops]=90)

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
  [[ $(ldconfig -p 2> /dev/null) != *"$1"* ]] || return
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
sanitizer=${SANITIZER:-}
[ -n "$sanitizer" ] || [ "$device" != cuda ] ||
  sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2> /dev/null)

if [ "${SIZE:-full}" = small ]; then
  short=16 middle=32 long=64 batch=2 width=16 widths=8,24 seconds=0.01 steps=10 rounds=1 samples=1
  text_size=(--batch=2 --length=16 --width=12 --layers=2)
else
  short=64 middle=512 long=4096 batch=64 width=128 widths=64,384 seconds=0.3 steps=300 rounds=5 samples=3
  text_size=() # the paper's
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

torch() # NAME
{
  "$python" -c 'import torch' 2> /dev/null || { say "$1: no PyTorch in $python, left out" && false; }
}

peers() # NAME FORMS MATH
{
  torch "$1" || return 0
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

# A case of each kind of kernel, all in one process, which takes seconds to start; the whole table takes too long
# under it. Where the time ends the log tells what was done, and kernels that share memory come first.
shared=(gru_seq:B2T12H100:reset=after:h0 gru_seq:B2T12H100:reset=before attention:B2T65D64:heads=1
  attention:B1T9D130:heads=1 lstm_seq:B2T12H100:h0:c0:dc selective_scan:B3T70E130N4:h0 mingru_seq:B1T1030H7:form=linear
  minlstm_seq:B2T5H3:form=linear:normalise=1:h0 softmax_xent:N13V67 rmsnorm:N13D37 layernorm:N13D37)
others=(gru_seq:B3T4H130:reset=after mingru_seq:B2T128H32:form=log attention:B9T70D18:heads=2:cache=90
  scan:B1T1030H4:h0 linear:N13K67M37:bias embed:B2T5V3D7 conv1d:B3T13D7K4:tail geglu:N5F67)
sanitize() # TOOL CASES...
{
  local tool=$1
  shift
  step "$tool" 90 "$sanitizer" --tool "$tool" --error-exitcode 9 "$minrnn" check --device="$device" --no-differences "$@"
  [ ! -e "$out/$tool.log" ] || say "$tool: $(grep -c '^ok ' "$out/$tool.log") of $# cases"
}
part_sanitizer()
{
  if [ -z "$sanitizer" ]; then
    say "sanitizer: no GPU or no compute-sanitizer, left out"
    return
  fi
  sanitize racecheck "${shared[@]}"
  sanitize memcheck "${shared[@]}" "${others[@]}"
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
text=${MINRNN_DATA:-data}/tinyshakespeare.txt
find_text()
{
  [ ! -e "$text" ] || return 0
  text=$out/text.txt
  cat README.md scripts/*.sh scripts/peers/*.py plots/* > "$text"
  say "no tinyshakespeare.txt: the text is the project's own files"
}
part_train()
{
  train selective_copy --model=mingru --length=64 --lr=3e-3
  find_text
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
# The whole step of the Shakespeare models.
part_steps()
{
  torch steps || return 0
  find_text
  step steps 999 "$python" scripts/peers/time_steps.py --file="$text" --device="$device" --rounds="$rounds" \
    --samples="$samples" "${text_size[@]}" --out="$out/steps.tsv"
  say "$(cat "$out/steps.log")"
}
part_compiled()
{
  [ "$device" != cuda ] || peers peers_compiled_f32 compiled f32
}

# ---- Tables, of all that is there ------------------------------------------------------------------
tables()
{
  local group math_at
  compgen -G "$cells/*.h5" > /dev/null || return
  for group in cells ops; do
    "$minrnn" table $group "$cells" --format=tsv > "$out/$group.tsv" 2> "$out/$group.log"
  done
  {
    echo "ops at batch $batch, width $width: shares of the measured copy bandwidth and product rate (least bytes it must"
    echo "move and least operations / its time; small arrays stay in a CPU's cache), and the model it was best in:"
    for math_at in "f32 $middle" "f32 $long" "tf32 $middle" "tf32 $long"; do
      awk -F'\t' -v shape="-b${batch}t${math_at#* }d${width}l1-${math_at% *}-" -v where="length ${math_at#* }, ${math_at% *}" '
        FNR == 1 { part++; split("", at); for (i = 1; i <= NF; i++) at[$i] = i; next }
        part == 1 { copy[$at["run"]] = $at["copy_bytes_per_s"]; gemm[$at["run"]] = $at["gemm_flop_per_s"]; next }
        copy[$at["run"]] > 0 && index($at["run"], shape) {
          key = sprintf("%-20s %-9s", $at["name"], $at["pass"])
          moved = 100 * $at["bytes_per_s"] / copy[$at["run"]]; computed = 100 * $at["flops_per_s"] / gemm[$at["run"]]
          share = moved > computed ? moved : computed
          if (!(key in best) || share > best[key]) {
            best[key] = share; line[key] = sprintf("%6.1f %% copy %6.1f %% products  %s", moved, computed, $at["model"]) } }
        END { if (length(best)) printf "%s:\n", where; for (key in best) printf "  %s %s\n", key, line[key] | "sort" }
        ' "$out/cells.tsv" "$out/ops.tsv"
    done
    echo
    echo "mixers, forward + backward as one, ms (median) by the wall and by the device's clock, the floor (sum over ops"
    echo "of the larger of bytes / copy rate and operations / product rate), and how many times that it takes:"
    awk -F'\t' 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
      $at["status"] == "complete" && $at["mixer_floor_ms"] > 0 {
        printf "  %-18s %4s %6s %4s %-4s %-6s %10.4g %10.4g %10.4g %7.2f  %s\n", $at["model"], $at["batch"], $at["length"],
          $at["width"], $at["math"], $at["mode"], $at["mixer_both_ms"], $at["mixer_both_device_ms"],
          $at["mixer_floor_ms"], $at["mixer_floor_ratio"], at["variants"] && $at["variants"] != "nan" ? $at["variants"] : "" }
      ' "$out/cells.tsv" | sort -u
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
