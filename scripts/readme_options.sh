#!/usr/bin/env bash
# readme_options.sh — writes the table of options in README.md from the program's own.
# SPDX-License-Identifier: MIT
#
#   scripts/readme_options.sh            rewrites what stands between the two markers
#   scripts/readme_options.sh --check    changes nothing; exit code 1 when the table is not current
# Environment: MINRNN, the program, default build/minrnn.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
minrnn=${MINRNN:-$root/${BUILD:-build}/minrnn}
readme=$root/README.md
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

case ${1:-} in
  '' | --check) ;;
  *) echo "readme_options: unknown word $1; allowed is --check" >&2; exit 2 ;;
esac

"$minrnn" train --help=markdown > "$tmp/table"
grep -q '^| `task` ' "$tmp/table" || { echo "readme_options: $minrnn printed no table" >&2; exit 1; }
awk -v table="$tmp/table" '
  $0 == "<!-- options: end -->" && inside { inside = 0; ends++ }
  !inside { print }
  $0 == "<!-- options: begin -->" {
    inside = 1
    while ((getline line < table) > 0) print line
  }
  END { exit ends != 1 }' "$readme" > "$tmp/readme" ||
  { echo "readme_options: $readme lacks the markers of the table" >&2; exit 1; }

cmp -s "$readme" "$tmp/readme" && exit 0
if [ "${1:-}" = --check ]; then
  echo "readme_options: the options in README.md are not those of the program; run scripts/readme_options.sh" >&2
  diff "$readme" "$tmp/readme" >&2 || true
  exit 1
fi
cat "$tmp/readme" > "$readme"
