// Package vm boots stock Debian kernels in qemu and runs things in them as root:
// the test binaries of packages that have tests with the build tag "vm", one
// command, or a shell. What runs there sees a kernel with cls_flower, the actions,
// conntrack, nftables and the simnic module, and the programs that tests call.
//
// Nothing is installed: kernels, their headers and Open vSwitch are fetched with
// apt-get download and unpacked in a cache; the other programs are copied from this
// host. The machine has no disk and no network: its root is an initramfs of two
// archives, one per kernel that is made once, and one with what is to be run.
// Software emulation (TCG) is enough, and no rights are wanted.
//
// The way of a run: Config.Prepare finds or makes what the cache lacks, compiles,
// and packs one Machine per kernel; Machine.Boot runs it and gives a Result. The
// guest's side is package vm/init. Both sides share Plan, which tells the guest
// what to do, and the words of plan.go, with which it answers over a serial port
// of its own. The kernel's console goes to a file that Complaints searches for
// what a kernel says when something is wrong with it. Report turns what suites say
// into lines for people and a verdict.
//
// A run leaves nothing behind but the cache: what it needs for itself lies in a
// folder of its own, and qemu ends when its parent does.
package vm
