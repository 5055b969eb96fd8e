#!/bin/bash
# bundle.sh BUILD_DIR — makes dist/minrnn-bundle.tar.gz: the program and the tests of a GPU, for any
# x86-64-v3 machine with a C library no older than this one's, the shared libraries they need (all but
# the C library and CUDA), experiments, plots and scripts. It wants nvcc; CMAKE_ARGS=-DMR_CUDA=OFF makes
# a bundle without GPU kernels. SPDX-License-Identifier: MIT
#
#   CMAKE_ARGS  options of CMake, e.g. -DMR_CUDA_ARCH=90-real for a GPU of one kind
#   BUILD=0     pack what is built in BUILD_DIR, as it was configured
#   DIST        another folder than dist
#   COMPRESS    another program than gzip, as "gzip -1"
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:?usage: bundle.sh BUILD_DIR}
dist=${DIST:-dist}
tree=$dist/minrnn-bundle
read -ra args <<<"${CMAKE_ARGS:-}"

if [[ ${BUILD:-1} != 0 ]]; then
  cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DMR_MARCH=x86-64-v3 -DBUILD_TESTING=ON \
    -DMR_FIBERS=OFF -DMR_ONEDNN=OFF -DMR_CUDA=ON "${args[@]}"
  cmake --build "$build" --target minrnn test_gpu test_gpu_f64 -j "${JOBS:-$(nproc)}"
fi
rm -rf "$tree"
mkdir -p "$tree/lib" "$tree/licences" "$tree/results"
cmake --install "$build" --prefix "$tree" --strip

programs=("$tree"/bin/*)
for module in "$tree"/lib/libminrnn_*.so; do
  if [[ -e $module ]]; then programs+=("$module"); fi
done
ldd "${programs[@]}" | awk '$2 == "=>" && $3 ~ /^\// { print $1, $3 }' |
while read -r name path; do
  case $name in
    libc.so.* | libm.so.* | libpthread.so.* | libdl.so.* | librt.so.* | libresolv.so.*) continue ;;
    libcuda.so.* | libcudart.so.* | libcublas*.so.* | libcudnn*.so.* | libnv*.so.*) continue ;;
  esac
  cp -L "$path" "$tree/lib/$name"
  # Each library travels with its licence.
  if command -v dpkg-query >/dev/null; then
    file=$(readlink -f "$path") # known to dpkg with or without the /usr in front
    owner=$(dpkg-query -S "$file" "${file#/usr}" 2>/dev/null | head -n 1 | cut -d: -f1 || true)
    if [[ -n $owner && -r /usr/share/doc/$owner/copyright ]]; then
      cp -L "/usr/share/doc/$owner/copyright" "$tree/licences/$owner"
    fi
  fi
done

# From the machine it runs on may come the C library, and nothing else.
for program in "${programs[@]}"; do
  foreign=$(env -i ldd "$program" | awk '$2 == "=>" && $3 !~ /\/minrnn-bundle\// { print $1 }' |
    grep -vE '^lib(c|m|pthread|dl|rt|resolv)\.so' || true)
  if [[ -n $foreign ]]; then
    echo "bundle.sh: $program would take from elsewhere:" $foreign >&2
    exit 1
  fi
done

# Where the scripts look for the program.
mkdir "$tree/build"
ln -s ../bin/minrnn "$tree/build/minrnn"
for part in plots scripts README.md LICENSE; do
  if [[ -e $part ]]; then cp -r "$part" "$tree/"; fi
done
for part in results/paper results/reference; do
  if [[ -d $part ]]; then cp -r "$part" "$tree/results/"; fi
done
tar -C "$dist" --sort=name --owner=0 --group=0 --numeric-owner -I "${COMPRESS:-gzip}" \
  -cf "$dist/minrnn-bundle.tar.gz" minrnn-bundle
echo "$dist/minrnn-bundle.tar.gz: $(du -h "$dist/minrnn-bundle.tar.gz" | cut -f1)"
