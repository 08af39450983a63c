package vm

import (
	"context"
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// programs are this host's that the guest gets, with their libraries.
var programs = []string{
	"bash", "sh", "tc", "ip", "bridge", "devlink", "ss", "nft", "conntrack", "ethtool", "iperf3", "ping",
	"cat", "ls", "grep", "sed", "head", "tail", "sleep", "mkdir", "rm", "mount", "umount", "ps", "dmesg", "sysctl", "kill", "env",
	"seq", "wc", "sort", "uniq", "cut", "tr", "stdbuf", "stty", "true", "false", "test", "date", "uname", "lsmod", "modprobe", "rmmod", "timeout", "awk",
	"tee", "touch", "mv", "cp", "ln", "id", "pgrep", "find", "od", "nproc", "free", "readlink", "basename", "dirname", "clear", "nsenter", "unshare",
}

// optional are those that are worth having in a shell, where this host has them.
var optional = []string{"tcpdump", "strace", "less", "vi", "top", "bpftool", "jq"}

// libraries that programs open by themselves, which ldd does not tell.
var libraries = []string{"libnss_files.so.2", "libgcc_s.so.1"}

// extras are files that programs look for.
var extras = []string{"/etc/protocols", "/etc/services", "/etc/iproute2/rt_protos", "/etc/iproute2/rt_tables", "/etc/iproute2/rt_scopes",
	"/usr/lib/x86_64-linux-gnu/coreutils/libstdbuf.so", "/usr/libexec/coreutils/libstdbuf.so",
	"/lib/terminfo/x/xterm", "/lib/terminfo/l/linux", "/lib/terminfo/v/vt100"}

// ovs are Open vSwitch's programs, from packages that are unpacked, not installed.
var ovs = []string{"usr/sbin/ovsdb-server", "usr/bin/ovsdb-tool", "usr/bin/ovsdb-client", "usr/lib/openvswitch-switch/ovs-vswitchd",
	"usr/bin/ovs-vsctl", "usr/bin/ovs-ofctl", "usr/bin/ovs-appctl", "usr/bin/ovs-dpctl"}

const ovsSchema = "usr/share/openvswitch/vswitch.ovsschema"

const libDir = "lib/x86_64-linux-gnu"

// which finds a program, also where only root's PATH leads; its name without one.
func which(name string) string {
	for _, dir := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		p := filepath.Join(dir, name)
		if info, err := os.Stat(p); err == nil && info.Mode()&0o111 != 0 && info.Mode().IsRegular() {
			return p
		}
	}
	return name
}

// addPrograms puts the host's programs and OVS's into the archive.
func addPrograms(ctx context.Context, a *archive, ovsRoot string) error {
	for _, name := range slices.Concat(programs, optional) {
		if p := which(name); p != name {
			if err := a.program(ctx, "/bin/"+name, p, ""); err != nil {
				return err
			}
		}
	}
	for _, lib := range libraries {
		a.copy(filepath.Join(libDir, lib), filepath.Join("/", libDir, lib))
	}
	for _, f := range extras {
		if _, err := os.Stat(f); err == nil {
			a.copy(f, f)
		}
	}
	for _, p := range ovs {
		if err := a.program(ctx, "/bin/"+filepath.Base(p), filepath.Join(ovsRoot, p), ovsRoot); err != nil {
			return err
		}
	}
	a.copy(ovsSchema, filepath.Join(ovsRoot, ovsSchema))
	return a.err
}

// program adds one program and what it is linked with; root holds libraries that
// the host need not have.
func (a *archive) program(ctx context.Context, name, from, root string) error {
	a.copy(name, from)
	f, err := elf.Open(from)
	if err != nil {
		return a.err // a script, or not there
	}
	defer f.Close()
	if libs, err := f.ImportedLibraries(); err != nil || len(libs) == 0 {
		return err
	}
	cmd := program(ctx, "", "ldd", from)
	if root != "" {
		cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+filepath.Join(root, "usr", libDir)+":"+filepath.Join(root, libDir))
	}
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("ldd %s: %w", from, err)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		switch {
		case strings.Contains(line, "not found"):
			return fmt.Errorf("%s needs %s, which is nowhere", from, fields[0])
		case len(fields) >= 3 && fields[1] == "=>":
			a.copy(filepath.Join(libDir, filepath.Base(fields[0])), fields[2])
		case len(fields) >= 1 && strings.HasPrefix(fields[0], "/"):
			a.copy(fields[0], fields[0]) // the loader
		}
	}
	return nil
}

// ovsSet is Open vSwitch with the libraries that its packages want, but for those
// that every Debian has.
func ovsSet(ctx context.Context) (set, error) {
	s := set{pkgs: []string{"openvswitch-switch", "openvswitch-common"}}
	var err error
	if s.version, err = candidate(ctx, s.pkgs[0]); err != nil {
		return set{}, err
	}
	graph, err := depends(ctx, s.pkgs...)
	if err != nil {
		return set{}, err
	}
	s.pkgs = withLibraries(graph, s.pkgs)
	return s, nil
}

// withLibraries adds to packages the libraries that they want, and those in turn.
func withLibraries(graph map[string][]string, pkgs []string) []string {
	out := slices.Clone(pkgs)
	for i := 0; i < len(out); i++ { // grows
		for _, n := range graph[out[i]] {
			lib := strings.HasPrefix(n, "lib") || n == "zlib1g"
			if lib && !slices.Contains(everywhere, n) && !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
	}
	return out
}

// everywhere are libraries that no Debian lacks.
var everywhere = []string{"libc6", "libgcc-s1", "libcrypt1"}
