#!/usr/bin/env bash
# Builds simnic.ko for one kernel, without installing anything.
#
#   build.sh ROOT RELEASE OUTDIR
#
# ROOT is where that kernel's Debian packages linux-headers (both) and linux-kbuild
# were unpacked with dpkg -x, RELEASE its name ("6.1.0-40-amd64"). The source tree
# stays as it is; OUTDIR/simnic.ko is the result.
set -euo pipefail
[ $# = 3 ] || { echo "usage: $0 ROOT RELEASE OUTDIR" >&2; exit 2; }
src=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$1" && pwd)
release=$2
mkdir -p "$3"
out=$(cd "$3" && pwd)
kdir=$root/usr/src/linux-headers-$release
[ -e "$kdir/Makefile" ] || { echo "$kdir is not there: unpack linux-headers-$release into $root" >&2; exit 1; }
# Debian's Makefile names the common headers by their place in an installed system.
common=$(sed -n 's#^include .*/usr/src/\(linux-headers-[^/]*\)/Makefile#\1#p' "$kdir/Makefile")
[ -n "$common" ] || { echo "$kdir/Makefile does not name the common headers" >&2; exit 1; }
printf 'include %s\n' "$root/usr/src/$common/Makefile" >"$kdir/Makefile.new"
mv "$kdir/Makefile.new" "$kdir/Makefile"
cp "$src"/*.c "$src"/*.h "$src"/Kbuild "$out"/
make -C "$kdir" M="$out" modules -s W=1 CONFIG_DEBUG_INFO_BTF_MODULES= >"$out/build.log" 2>&1 || { cat "$out/build.log" >&2; exit 1; }
# A type description of the module needs pahole and the whole kernel; nobody asks for it.
if grep -q 'warning:.*simnic\|'"$out"'/[a-z0-9_]*\.[ch]:.*warning:' "$out/build.log"; then
	cat "$out/build.log" >&2
	echo "simnic builds with warnings" >&2
	exit 1
fi
strip --strip-debug "$out/simnic.ko"
