#!/usr/bin/env bash
# test_fetch.sh — fetches the text with stand-ins for curl and wget: wrong texts, no network, no room.
# labels: unit
# SPDX-License-Identifier: MIT
set -euo pipefail
root=${MINRNN_SOURCE_DIR:-$(cd "$(dirname "$0")/.." && pwd)}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

fail()
{
  echo "FAILED: $*" >&2
  exit 1
}

# A PATH with little more than what the script needs, so that curl and wget are ours or absent.
mkdir "$tmp/bin"
for tool in bash cat cut dirname mkdir mv rm sha256sum; do ln -s "$(command -v $tool)" "$tmp/bin/$tool"; done

# The stand-in for $1 writes $tmp/served to the file behind -o or -O, or fails without it.
stand_in()
{
  cat > "$tmp/bin/$1" << EOF
#!$tmp/bin/bash
while [ \$# -gt 0 ]; do case \$1 in -o | -O) file=\$2 ;; esac; shift; done
echo asked >> "$tmp/asked"
[ -e "$tmp/served" ] || { echo "$1: no such host" >&2; exit 6; }
cat "$tmp/served" > "\$file"
EOF
  chmod +x "$tmp/bin/$1"
}

fetch() { code=0; said=$(PATH=$tmp/bin MINRNN_DATA=$tmp/data "$root/scripts/fetch_data.sh" 2>&1) || code=$?; }

refused() # WORDS
{
  fetch
  [ "$code" = 1 ] || fail "exit code $code instead of 1: $said"
  [ "$(wc -l <<< "$said")" = 1 ] || fail "more than one line: $said"
  grep -qF -- "$1" <<< "$said" || fail "unclear: $said"
  [ ! -e "$tmp/data/tinyshakespeare.txt.part" ] || fail "a part is left behind"
}

echo "without a way to download, or a network, there is one clear sentence and no file"
refused "neither curl nor wget"
for tool in wget curl; do
  stand_in $tool
  refused "could not be downloaded to $tmp/data/tinyshakespeare.txt: $tool: no such host"
  [ ! -e "$tmp/data/tinyshakespeare.txt" ] || fail "a file of nothing"
done

echo "another text than the one expected is not kept"
echo "To be, or not to be" > "$tmp/served"
refused "not the text expected"
[ ! -e "$tmp/data/tinyshakespeare.txt" ] || fail "a wrong text is kept"
echo "mine" > "$tmp/data/tinyshakespeare.txt"
refused "is another text than expected"
[ "$(cat "$tmp/data/tinyshakespeare.txt")" = mine ] || fail "a file of the user's is replaced"
rm "$tmp/data/tinyshakespeare.txt"

echo "a folder that cannot be made is named"
echo > "$tmp/plain"
code=0
said=$(PATH=$tmp/bin MINRNN_DATA=$tmp/plain/data "$root/scripts/fetch_data.sh" 2>&1) || code=$?
[ "$code" = 1 ] && grep -q "$tmp/plain/data cannot be made" <<< "$said" || fail "unclear: $said"

text=${TINYSHAKESPEARE:-$root/../shared/data/tinyshakespeare.txt}
if [ -e "$text" ]; then
  echo "the right text is fetched once"
  ln -sf "$text" "$tmp/served"
  for tool in curl wget; do
    rm -rf "$tmp/data" "$tmp/asked"
    fetch
    [ "$code" = 0 ] || fail "exit code $code: $said"
    cmp -s "$text" "$tmp/data/tinyshakespeare.txt" || fail "$tool: not the same text"
    fetch
    [ "$code" = 0 ] && grep -q 'there already' <<< "$said" || fail "the second time: $said"
    [ "$(wc -l < "$tmp/asked")" = 1 ] || fail "the text was downloaded twice"
    rm -f "$tmp/bin/$tool"
  done
else
  echo "(the right text: left out, it is not on this machine)"
fi
echo "ok"
