#!/usr/bin/env bash
# Runs each fuzz test for FUZZTIME; Go fuzzes one at a time.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
grep -rl --include='*_test.go' '^func Fuzz' . | while read -r file; do
	sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file" | while read -r name; do
		echo "== $(dirname "$file") $name"
		"$go" test -run '^$' -fuzz "^$name\$" -fuzztime "${FUZZTIME:-30s}" "$(dirname "$file")"
	done
done
