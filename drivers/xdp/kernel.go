package xdp

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/shunt-offload/shunt/hwif"
)

// kernel is what the running kernel offers.
type kernel struct {
	netns      uint32 // inode number of the calling thread's network namespace
	vethSkbOff uint32 // of skb in struct veth_xdp_buff; 0 when there is none (before 6.3)
}

// readKernel refuses a kernel on which the pipeline could not be safe.
func readKernel() (kernel, error) {
	var k kernel
	if err := features.HaveProgramType(ebpf.XDP); err != nil {
		return k, openFault("", err, "this kernel or these rights allow no XDP programs (CONFIG_BPF_SYSCALL)")
	}
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		return k, fault("open", "", hwif.KindUnsupported, err,
			"no BTF in /sys/kernel/btf/vmlinux: use a kernel with CONFIG_DEBUG_INFO_BTF; without it lost redirects can't be seen")
	}
	var st unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
		return k, openFault("", err, "reading the network namespace's number; is /proc mounted?")
	}
	k.netns = uint32(st.Ino)
	if k.vethSkbOff, err = vethSkbOffset(spec); err != nil {
		return k, fault("open", "", hwif.KindOther, err, "reading the layout of struct veth_xdp_buff")
	}
	if features.HaveProgramHelper(ebpf.XDP, asm.FnProbeReadKernel) != nil {
		k.vethSkbOff = 0
	}
	if _, err := spec.AnyTypeByName("bpf_cast_to_kern_ctx"); err != nil {
		k.vethSkbOff = 0
	}
	return k, nil
}

// vethSkbOffset finds the sk_buff behind an xdp_buff of a veth, in the kernel or
// in its module veth. 0 means that there is none, or veth is not loaded.
func vethSkbOffset(spec *btf.Spec) (uint32, error) {
	t, err := spec.AnyTypeByName("veth_xdp_buff")
	if errors.Is(err, btf.ErrNotFound) {
		var mod *btf.Spec
		mod, err = btf.LoadKernelModuleSpec("veth")
		if errors.Is(err, fs.ErrNotExist) {
			return 0, nil
		}
		if err == nil {
			t, err = mod.AnyTypeByName("veth_xdp_buff")
		}
	}
	if errors.Is(err, btf.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	s, ok := t.(*btf.Struct)
	if !ok || len(s.Members) < 2 || s.Members[0].Name != "xdp" || s.Members[0].Offset != 0 {
		return 0, fmt.Errorf("unknown shape: %v", t)
	}
	for _, m := range s.Members[1:] {
		if m.Name == "skb" && m.BitfieldSize == 0 {
			return m.Offset.Bytes(), nil
		}
	}
	return 0, nil
}

// onBPFfs reports whether dir lies on a bpffs.
func onBPFfs(dir string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	if uint32(st.Type) != unix.BPF_FS_MAGIC {
		return fmt.Errorf("%s is not on a bpffs", dir)
	}
	return nil
}
