#!/usr/bin/env bash
# Installs the Debian packages of programs that are missing, when root; says
# which, otherwise.
#
#   packages.sh demo       what the lab runs
#   packages.sh test       and what the tests run
#   packages.sh race       and a C compiler, for go test -race, and make
#   packages.sh generate   and clang, for the eBPF programs
#   packages.sh vm         qemu, what the guest is given, and what builds its module
set -euo pipefail

lab=(ip:iproute2 nft:nftables conntrack:conntrack ethtool:ethtool)
test=(iperf3:iperf3 stdbuf:coreutils mount:mount)
race=(gcc:gcc make:make)
vm=(qemu-system-x86_64:qemu-system-x86 xz:xz-utils zstd:zstd depmod:kmod dpkg:dpkg ping:iputils-ping ss:iproute2 ps:procps awk:mawk
	find:findutils strip:binutils bash:bash)
generate=(clang:clang llvm-strip:llvm)
headers=(/usr/include/bpf/bpf_helpers.h:libbpf-dev /usr/include/linux/bpf.h:linux-libc-dev)

want=()
files=()
case "${1:-}" in
demo) want=("${lab[@]}") ;;
test) want=("${lab[@]}" "${test[@]}") ;;
race) want=("${lab[@]}" "${test[@]}" "${race[@]}") ; files=(/usr/include/stdlib.h:libc6-dev) ;;
vm) want=("${lab[@]}" "${test[@]}" "${race[@]}" "${vm[@]}") ; files=(/usr/include/stdlib.h:libc6-dev) ;;
generate) want=("${generate[@]}") ; files=("${headers[@]}") ;;
*) echo "usage: $0 demo|test|race|generate|vm" >&2 ; exit 2 ;;
esac

missing=()
for w in "${want[@]}"; do
	PATH="$PATH:/usr/sbin:/sbin" command -v "${w%%:*}" >/dev/null || missing+=("${w##*:}")
done
for f in "${files[@]}"; do
	[ -e "${f%%:*}" ] || missing+=("${f##*:}")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" != 0 ]; then
	# What needs no root needs none of these.
	echo "Not installed: ${missing[*]} (as root: apt-get install ${missing[*]})"
	exit 0
fi
if ! command -v apt-get >/dev/null; then
	echo "Missing, and there is no apt-get to install them with: ${missing[*]}" >&2
	exit 1
fi
echo "Installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
