#!/usr/bin/env bash
# Runs layers of tests and says which ran, and which could not and why.
#
#   test.sh [unit] [netns]
#
# unit    plain Go; needs no rights
# netns   network namespaces, XDP, conntrack, real traffic; needs root
#
# RACE=1 adds the race detector.
set -euo pipefail
cd "$(dirname "$0")/.."

go=${GO:-go}
flags=(-count=1)
what=test
if [ -n "${RACE:-}" ]; then
	flags+=(-race)
	what=race
fi
export PATH="$PATH:/usr/sbin:/sbin"
ran=()
left=()

# The packages that have tests of the layer, but for the end-to-end ones.
netns_packages() {
	grep -rl --include='*_test.go' '^//go:build netns' . | xargs -n1 dirname | sort -u | grep -v '^\./test$'
}

run() { # NAME go-test arguments
	local name=$1
	shift
	echo "== $name"
	"$go" test "${flags[@]}" "$@"
	ran+=("$name")
}

scripts/packages.sh "$what"
for layer in "$@"; do
	case "$layer" in
	unit)
		run "unit: every package, no rights needed" ./...
		;;
	netns)
		if [ "$(id -u)" != 0 ]; then
			left+=("netns: network namespaces and XDP need root (sudo make test)")
			continue
		fi
		# One package after the other: they measure, and share the cores.
		mapfile -t pkgs < <(netns_packages)
		run "netns: ${pkgs[*]}" -p 1 -tags netns "${pkgs[@]}"
		run "end to end: shuntd, shuntctl and real traffic in a lab" -tags netns -timeout 15m -v ./test
		;;
	*)
		echo "no layer $layer: unit, netns" >&2
		exit 2
		;;
	esac
done

echo
for r in "${ran[@]}"; do echo "ran      $r"; done
for l in "${left[@]}"; do echo "NOT RUN  $l"; done
