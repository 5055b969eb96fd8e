#!/usr/bin/env bash
# gpu_proof.sh FOLDER — everything that wants a GPU once, in under ten minutes: parity and repeatability of every
# op and model, compute-sanitizer on small cases, op timings against measured copy and product rates, step
# timings with loop, vendor and fused forms, a short training of each task, PyTorch beside it where it is
# installed. SPDX-License-Identifier: MIT
#
# Run from the project's folder or from an unpacked bundle. Logs, run files (HDF5), tables and summary.txt go to
# FOLDER. Correctness comes first: without it nothing is timed. Finished timings in FOLDER are kept, so the same
# command goes on after a cut. Exit code 0 when every step ended well. Environment:
#   MINRNN        the program, default build/minrnn
#   DEVICE        cuda; cpu tries the script itself on a machine without a GPU
#   LIMIT         seconds for all steps together, default 570
#   PYTHON        python3 with PyTorch, default python3
#   MINRNN_CUDNN  libcudnn.so.9; default: the system's, or else the one beside PyTorch
#   SIZE=small    tiny shapes, to try the script
set -uo pipefail
export LC_ALL=C.UTF-8

cd "$(dirname "$0")/.." || exit 1
out=${1:?usage: gpu_proof.sh FOLDER}
minrnn=$(realpath "${MINRNN:-build/minrnn}")
device=${DEVICE:-cuda}
limit=${LIMIT:-570}
python=${PYTHON:-python3}
mkdir -p "$out"
out=$(realpath "$out")
summary=$out/summary.txt
started=$SECONDS
bad=0
: > "$summary"

say() { echo "$*" | tee -a "$summary"; }

# One step: NAME, the most seconds it may take, and its command. Its output goes to NAME.log.
step()
{
  local name=$1 most=$2 rest=$((limit - (SECONDS - started))) code=0 begun=$SECONDS
  shift 2
  if [ "$rest" -le 5 ]; then
    say "$name: not begun, the $limit s are over"
    bad=1
    return 1
  fi
  [ "$most" -lt "$rest" ] || most=$rest
  timeout --signal=TERM --kill-after=20 "$most" "$@" > "$out/$name.log" 2>&1 || code=$?
  case $code in
    0) say "$name: ok, $((SECONDS - begun)) s" ;;
    124 | 137) say "$name: cut after $most s" && bad=1 ;;
    *) say "$name: FAILED with exit code $code: $(tail -n 1 "$out/$name.log")" && bad=1 ;;
  esac
  return "$code"
}

# cuDNN comes with PyTorch where the system has none.
if [ -z "${MINRNN_CUDNN:-}" ] && ! ldconfig -p 2> /dev/null | grep -q libcudnn.so.9; then
  beside=$("$python" -c 'import nvidia.cudnn as c; print(list(c.__path__)[0])' 2> /dev/null || true)
  [ ! -e "$beside/lib/libcudnn.so.9" ] || export MINRNN_CUDNN=$beside/lib/libcudnn.so.9
fi
# The same for cuBLASLt.
if ! ldconfig -p 2> /dev/null | grep -q libcublasLt.so; then
  for beside in $("$python" -c 'import nvidia; print(*nvidia.__path__)' 2> /dev/null || true); do
    for folder in "$beside"/*/lib; do LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder; done
  done
  export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}
fi

if [ "${SIZE:-full}" = small ]; then
  lengths=16,64 long=64 widths=16 batch=2 time=0.02 steps=20 rounds=1
else
  lengths=64,512,4096 long=512,4096 widths=64,128,384 batch=64 time=0.3 steps=300 rounds=5
fi
bench=("$minrnn" bench --task=selective_copy --selective_copy.data_tokens=1 --device="$device" --layers=1)
models=gru_loop,lstm_loop,gru,lstm,gru_vendor,lstm_vendor,mingru,minlstm,mingru_smallops,minlstm_smallops,mamba,transformer

# ---- Right first -------------------------------------------------------------------------------------
step info 60 "$minrnn" info --device="$device"
if ! step check 200 "$minrnn" check --device="$device" --all; then
  say "nothing is timed: the checks do not hold; see check.log"
  exit 1
fi
if command -v compute-sanitizer > /dev/null && [ "$device" = cuda ]; then
  # A case or two of each kind of kernel; the whole table takes too long under it.
  for name in mingru_seq:B2 minlstm_seq:B2 gru_seq:B2 lstm_seq:B2 scan selective_scan attention softmax_xent linear rmsnorm embed; do
    step "memcheck_${name%%:*}" 40 compute-sanitizer --tool memcheck --error-exitcode 9 "$minrnn" check --device=cuda "$name"
  done
  for name in mingru_seq:B2 gru_seq:B2 lstm_seq:B2 selective_scan attention; do
    step "racecheck_${name%%:*}" 40 compute-sanitizer --tool racecheck --error-exitcode 9 "$minrnn" check --device=cuda "$name"
  done
else
  say "compute-sanitizer: not installed or no GPU, left out"
fi

# ---- Then fast -----------------------------------------------------------------------------------------
step kernels 90 "${bench[@]}" --model=mingru,minlstm,gru,lstm,mamba,transformer --batch=$batch --length=$long --width=128 \
  --seconds=$time --out="$out/kernels"
for algo in standard persist_static persist_static_small_h persist_dynamic; do
  step "cudnn_$algo" 30 "${bench[@]}" --model=gru_vendor,lstm_vendor --gru_vendor.algo=$algo --lstm_vendor.algo=$algo \
    --batch=$batch --length=$long --width=128 --seconds=$time --out="$out/cudnn_$algo"
done
step steps 200 "${bench[@]}" --model=$models --batch=$batch --length=$lengths --width=$widths --graph=1,0 --seconds=$time \
  --out="$out/steps"
step inference 60 "$minrnn" infer --device="$device" --model=mingru,minlstm,gru,lstm,mamba,transformer --batch=1,$batch \
  --length=${long%%,*} --width=128 --layers=3 --seconds=$time --out="$out/inference"

# ---- And it learns -------------------------------------------------------------------------------------
train() # TASK WORDS...
{
  local task=$1
  shift
  step "train_$task" 60 "$minrnn" train --task="$task" --device="$device" --steps=$steps --eval_every=$steps --quiet --force \
    --out="$out/train_$task.h5" "$@"
}
train selective_copy --model=mingru --length=256 --lr=3e-3
train shakespeare --model=mingru --length=128 --width=128 --eval_batches=2
train offline_rl --model=mingru

# ---- Beside PyTorch ------------------------------------------------------------------------------------
if "$python" -c 'import torch' 2> /dev/null; then
  for math in f32 tf32; do
    step "peers_$math" 90 "$python" scripts/peers/time_all.py --device="$device" --math=$math --rounds=$rounds \
      --batch=$batch --length="${long%%,*}" --width=128 --out="$out/peers_$math.tsv"
    [ "$device" = cuda ] || break
  done
else
  say "peers: no PyTorch in $python, left out"
fi

# ---- The summary ---------------------------------------------------------------------------------------
for group in cells ops; do
  find "$out" -mindepth 2 -name '*.h5' -print0 | sort -z | xargs -0 "$minrnn" table $group --format=tsv > "$out/$group.tsv" 2>> "$out/tables.log"
done
say ""
say "share of the measured copy bandwidth, by op (least bytes an op must move / its time):"
awk -F'\t' '
  FNR == 1 { part++; delete at; for (i = 1; i <= NF; i++) at[$i] = i; next }
  part == 1 { copy[$at["run"]] = $at["copy_bytes_per_s"]; shape[$at["run"]] = "B " $at["batch"] " T " $at["length"] " D " $at["width"]; next }
  $at["name"] ~ /_seq$|scan|attention|xent|rmsnorm/ && copy[$at["run"]] > 0 {
    printf "  %-20s %-9s %-22s %5.1f %%\n", $at["name"], $at["pass"], shape[$at["run"]], 100 * $at["bytes_per_s"] / copy[$at["run"]]
  }' "$out/cells.tsv" "$out/ops.tsv" | sort -u | tee -a "$summary"
say ""
say "training step, ms (median), by model, batch, length, width, mode:"
awk -F'\t' 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
  $at["status"] == "complete" && $at["step_ms"] > 0 {
    printf "  %-18s %4s %6s %4s %-6s %10.4g\n", $at["model"], $at["batch"], $at["length"], $at["width"], $at["mode"], $at["step_ms"] }' \
  "$out/cells.tsv" | sort | tee -a "$summary"
for file in "$out"/peers_*.tsv; do
  [ -e "$file" ] || continue
  say ""
  tee -a "$summary" < "$file"
done
say ""
say "$((SECONDS - started)) s in all; $([ $bad = 0 ] && echo 'every step ended well' || echo 'some steps did not end well, see above')"
exit $bad
