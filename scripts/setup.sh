#!/bin/bash
# setup.sh — installs the Debian packages that building, testing and drawing need; does nothing when
# they are there.   setup.sh [--dev] [--peers] [--check]
#   --dev    also what `make check` needs
#   --peers  also what `make peers-check` needs
#   --check  install nothing: print the missing packages and exit 1 if there are any
# SPDX-License-Identifier: MIT
set -euo pipefail

packages=(
  build-essential  # compiler, linker, make
  cmake            # build (3.25 or newer)
  pkg-config       # finds the libraries below
  libopenblas-dev  # matrix products
  libhdf5-dev      # run files
  hdf5-tools       # h5dump, which tests compare against
  gnuplot-nox      # figures
  libcmocka-dev    # tests
  librandom123-dev # random numbers
  libinih-dev      # experiment files
  cmark-gfm        # report, and the test of README's examples
)
dev_packages=(
  clang        # second compiler, sanitizers
  clang-format # layout
  clang-tidy   # linter
  cppcheck     # second linter
  libomp-dev   # OpenMP for clang
  libclang-rt-dev # sanitizers of clang
  python3      # small checks
  python3-h5py # reads the files that tests write
)
peers_packages=(
  python3       # scripts/peers
  python3-torch # PyTorch, which the models are compared with
  python3-h5py  # reads dumps
)
# Installed where that is possible; nothing but what is named here goes without them.
optional=(
  libdnnl-dev   # gru_vendor and lstm_vendor
  libmujoco-dev # environments halfcheetah, hopper and walker2d
)
# A program that is there under another package's name (gnuplot-qt, a compiler of one's own) serves.
declare -A program=(
  [build-essential]=g++ [cmake]=cmake [pkg-config]=pkg-config [hdf5-tools]=h5dump
  [gnuplot-nox]=gnuplot [cmark-gfm]=cmark-gfm [clang]=clang [clang-format]=clang-format
  [clang-tidy]=clang-tidy [cppcheck]=cppcheck [python3]=python3
)

check=0
for word in "$@"; do
  case $word in
    --dev) packages+=("${dev_packages[@]}") ;;
    --peers) packages+=("${peers_packages[@]}") ;;
    --check) check=1 ;;
    *) echo "setup.sh: unknown word $word; allowed are --dev, --peers and --check" >&2; exit 2 ;;
  esac
done

if ! command -v dpkg-query >/dev/null; then
  echo "setup.sh: this is not Debian; install the equivalents of: ${packages[*]}" >&2
  exit $((1 - check)) # with --check, CMake says what it cannot find
fi

installed() {
  [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

missing=()
for package in "${packages[@]}"; do
  installed "$package" && continue
  command -v "${program[$package]:-/none}" >/dev/null && continue
  missing+=("$package")
done

if ((check)); then
  ((${#missing[@]} == 0)) && echo "nothing to install" && exit 0
  echo "missing Debian packages: ${missing[*]}" >&2
  exit 1
fi
wished=()
for package in "${optional[@]}"; do installed "$package" || wished+=("$package"); done
if ((${#missing[@]} + ${#wished[@]} == 0)); then
  echo "nothing to install"
  exit 0
fi

root=()
if ((EUID != 0)); then
  if command -v sudo >/dev/null; then
    root=(sudo)
  elif ((${#missing[@]})); then
    echo "setup.sh: installing ${missing[*]} needs root and there is no sudo: run it as root" >&2
    exit 1
  fi
fi
install() {
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "$@"
}
"${root[@]}" apt-get update -qq || ((${#missing[@]} == 0))
if ((${#missing[@]})); then
  echo "installing Debian packages: ${missing[*]}"
  install "${missing[@]}"
fi
for package in "${wished[@]}"; do
  echo "installing the optional Debian package $package"
  install "$package" || echo "$package cannot be installed here; the program does without it"
done
