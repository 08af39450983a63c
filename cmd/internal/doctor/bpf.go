package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// createMap asks bpf(2) for a one-entry array, which needs no more than what
// the driver's own maps need.
func createMap() error {
	attr := struct{ mapType, keySize, valueSize, maxEntries uint32 }{unix.BPF_MAP_TYPE_ARRAY, 4, 4, 1}
	fd, err := bpf(unix.BPF_MAP_CREATE, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// bpf is bpf(2).
func bpf(cmd int, attr unsafe.Pointer, size uintptr) (int, error) {
	r, _, errno := unix.Syscall(unix.SYS_BPF, uintptr(cmd), uintptr(attr), size)
	if errno != 0 {
		return -1, errno
	}
	return int(r), nil
}

// progInfo is the beginning of struct bpf_prog_info (uapi/linux/bpf.h).
type progInfo struct {
	progType, id           uint32
	tag                    [8]byte
	jitedLen, xlatedLen    uint32
	jitedInsns, xlateInsns uint64
	loadTime               uint64
	uid, mapCount          uint32
	mapIDs                 uint64
	name                   [unix.BPF_OBJ_NAME_LEN]byte
}

// programName gives the name of a loaded program, at most 15 bytes.
func programName(id uint32) (string, error) {
	get := struct{ id, next, flags uint32 }{id: id}
	fd, err := bpf(unix.BPF_PROG_GET_FD_BY_ID, unsafe.Pointer(&get), unsafe.Sizeof(get))
	if err != nil {
		return "", fmt.Errorf("open program %d: %w", id, err)
	}
	defer unix.Close(fd)
	info := new(progInfo)
	ask := struct {
		fd, size uint32
		info     unsafe.Pointer
	}{uint32(fd), uint32(unsafe.Sizeof(*info)), unsafe.Pointer(info)}
	if _, err := bpf(unix.BPF_OBJ_GET_INFO_BY_FD, unsafe.Pointer(&ask), unsafe.Sizeof(ask)); err != nil {
		return "", fmt.Errorf("ask program %d: %w", id, err)
	}
	return unix.ByteSliceToString(info.name[:]), nil
}

func kernelBPF(_ context.Context, h *host) []Finding {
	f := Finding{Name: "bpf"}
	switch err := h.mapCreate(); {
	case err == nil:
		f.Text = "the kernel makes BPF maps for us; programs are built into shuntd, so no compiler is needed"
	case errors.Is(err, unix.EPERM):
		f.Level, f.Text = Fail, "the kernel refuses to make a BPF map: no CAP_BPF, or a security module or container forbids bpf(2)"
		f.Mend = "sudo setcap cap_net_admin,cap_bpf,cap_perfmon+ep $(command -v shuntd)"
	case errors.Is(err, unix.ENOSYS):
		f.Level, f.Text = Fail, "this kernel has no bpf(2)"
		f.Mend = "use a kernel built with CONFIG_BPF_SYSCALL=y, as the distributions' are"
	default:
		f.Level, f.Text = Fail, "the kernel makes no BPF map: "+err.Error()
		f.Mend = "ulimit -l unlimited"
	}
	return []Finding{f}
}

func kernelBTF(_ context.Context, h *host) []Finding {
	f := Finding{Name: "btf", Text: "the kernel describes its own types"}
	if _, err := os.Stat(h.sys + "/kernel/btf/vmlinux"); err != nil {
		f.Level, f.Text = Fail, "the kernel does not describe its own types ("+why(err)+"); programs cannot be fitted to it"
		f.Mend = "use a kernel built with CONFIG_DEBUG_INFO_BTF=y, as the distributions' are"
	}
	return []Finding{f}
}

func bpffs(_ context.Context, h *host) []Finding {
	f := Finding{Name: "bpffs", Text: "mounted at " + h.sys + "/fs/bpf"}
	var st unix.Statfs_t
	if err := unix.Statfs(h.sys+"/fs/bpf", &st); err != nil || st.Type != unix.BPF_FS_MAGIC {
		f.Level, f.Text = Warn, "no BPF file system at "+h.sys+"/fs/bpf: rules cannot outlive the daemon (on_exit: keep)"
		f.Mend = "sudo mount -t bpf bpf /sys/fs/bpf   # not under ip netns exec, which hides it: mount one elsewhere first, and name a directory in it, nic.settings: {pin: DIRECTORY}"
	}
	return []Finding{f}
}

// why shortens the commonest answer.
func why(err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "it is not there"
	}
	return err.Error()
}
