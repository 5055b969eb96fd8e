#!/usr/bin/env bash
# fetch_data.sh — gets the text of the language-modelling experiment, 1 MB. SPDX-License-Identifier: MIT
#
#   scripts/fetch_data.sh
#
# Puts tinyshakespeare.txt (of the repository karpathy/char-rnn) into MINRNN_DATA, by default data/ in the
# checkout, and checks its SHA-256. Does nothing when it is there. Needs curl or wget.
set -euo pipefail
export LC_ALL=C.UTF-8

root=$(cd "$(dirname "$0")/.." && pwd)
url=https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt
sum=86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed
folder=${MINRNN_DATA:-$root/data}
file=$folder/tinyshakespeare.txt
part=$file.part

die()
{
  rm -f "$part"
  echo "fetch_data: $*" >&2
  exit 1
}

right() # FILE
{
  [ "$(sha256sum < "$1" | cut -d ' ' -f 1)" = $sum ]
}

if [ -e "$file" ]; then
  right "$file" || die "$file is another text than expected (SHA-256 $sum); remove it and call this again"
  echo "fetch_data: $file is there already"
  exit 0
fi
mkdir -p "$folder" 2> /dev/null || die "the folder $folder cannot be made"
trap 'rm -f "$part"' EXIT

byhand="if there is no network, copy the text there by hand"
if command -v curl > /dev/null; then
  said=$(curl -fsSL --connect-timeout 20 --retry 2 -o "$part" "$url" 2>&1) ||
    die "$url could not be downloaded to $file: ${said##*$'\n'}; $byhand"
elif command -v wget > /dev/null; then
  said=$(wget -nv --timeout=20 --tries=2 -O "$part" "$url" 2>&1) ||
    die "$url could not be downloaded to $file: ${said##*$'\n'}; $byhand"
else
  die "neither curl nor wget is installed; Debian's packages have these names"
fi
right "$part" || die "what came from $url is not the text expected (SHA-256 $sum), so it was not kept"
mv "$part" "$file"
echo "fetch_data: $file"
