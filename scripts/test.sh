#!/usr/bin/env bash
# Runs layers of tests and says which ran, and which could not and why.
#
#   test.sh [unit] [netns] [vm]
#
# unit    plain Go; needs no rights
# netns   network namespaces, XDP, conntrack, real traffic; needs root
# vm      Debian's kernels in qemu, with the emulated card; needs no rights, but
#         Debian's packages: see scripts/packages.sh vm
#
# RACE=1 adds the race detector, but for vm, where it would want a C library.
# KERNELS, PKGS, RUN, V, PROGRAMS narrow vm; see the Makefile.
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

# Why there can be no virtual machine here; empty when there can.
vm_lacks() {
	local said
	if [ "$(uname -m)" != x86_64 ]; then
		echo "the kernels are Debian's for amd64, and this machine is $(uname -m)"
	elif ! said=$(scripts/packages.sh vm 2>&1); then
		echo "${said##*$'\n'}"
	elif ! said=$("$go" build -buildvcs=false -o bin/ ./cmd/shunt-vm 2>&1); then
		return # the run below says so, and fails
	elif ! said=$(bin/shunt-vm check --kernel "${KERNELS:-6.1 6.12}" 2>&1); then
		echo "${said##*shunt-vm: }"
	fi
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
	vm)
		lacks=$(vm_lacks)
		if [ -n "$lacks" ]; then
			left+=("vm: $lacks")
			continue
		fi
		echo "== vm"
		"$go" build -buildvcs=false -o bin/ ./cmd/shunt-vm
		GO=$go bin/shunt-vm test --kernel "${KERNELS:-6.1 6.12}" --pkgs "${PKGS:-}" --run "${RUN:-}" ${PROGRAMS+--programs "$PROGRAMS"} ${V:+--verbose}
		ran+=("vm: Debian's kernels ${KERNELS:-6.1 6.12} in qemu, with the emulated card")
		;;
	*)
		echo "no layer $layer: unit, netns, vm" >&2
		exit 2
		;;
	esac
done

echo
for r in "${ran[@]}"; do echo "ran      $r"; done
for l in "${left[@]}"; do echo "NOT RUN  $l"; done
# A machine that decides over a change has to run them all.
[ -z "${CI:-}" ] || [ ${#left[@]} -eq 0 ]
