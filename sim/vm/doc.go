// Package vm boots a stock Debian kernel in qemu and runs things in it as root:
// the test binaries of packages that have tests with the build tag "vm", one
// command, or a shell. What runs sees a kernel with cls_flower, the actions,
// conntrack, nftables and the simnic module, and the programs of this host that
// tests call.
//
// Nothing is installed: the kernels and their headers are fetched with apt-get
// download into a cache and unpacked there. The machine has no disk and no
// network; its root is an initramfs of two archives, one per kernel that is made
// once, and one with what is to be run. Software emulation (TCG) is enough: a
// boot takes some four seconds.
//
// The kernel's console goes to a file, which is searched for oopses and warnings
// (Complaints). What runs speaks over a second serial port, in lines; a line that
// begins with Mark is a word of the guest's init (package vm/init) itself.
//
// Owner of everything is the caller: a Machine lives as long as Run.
package vm
