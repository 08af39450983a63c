package vm

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// programs are this host's that the guest gets, with their libraries.
var programs = []string{
	"bash", "sh", "tc", "ip", "bridge", "devlink", "ss", "nft", "conntrack", "ethtool", "iperf3", "ping",
	"cat", "ls", "grep", "sed", "head", "tail", "sleep", "mkdir", "rm", "mount", "umount", "ps", "dmesg", "sysctl", "kill", "env",
	"seq", "wc", "sort", "cut", "tr", "stdbuf", "stty", "true", "false", "test", "date", "uname", "lsmod", "modprobe", "timeout", "awk",
	"tee", "touch", "mv", "cp", "ln", "id", "pgrep", "find", "od",
}

// libraries that programs open by themselves, which ldd does not tell.
var libraries = []string{"libnss_files.so.2", "libgcc_s.so.1"}

// extras are files that programs look for.
var extras = []string{"/etc/protocols", "/etc/services", "/etc/iproute2/rt_protos", "/etc/iproute2/rt_tables",
	"/usr/lib/x86_64-linux-gnu/coreutils/libstdbuf.so", "/usr/libexec/coreutils/libstdbuf.so"}

// ovs are Open vSwitch's programs, from packages that are unpacked, not installed.
var ovs = []string{"usr/sbin/ovsdb-server", "usr/bin/ovsdb-tool", "usr/bin/ovsdb-client", "usr/sbin/ovs-vswitchd", "usr/lib/openvswitch-switch/ovs-vswitchd",
	"usr/bin/ovs-vsctl", "usr/bin/ovs-ofctl", "usr/bin/ovs-appctl", "usr/bin/ovs-dpctl"}

const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func which(name string) string {
	for _, dir := range filepath.SplitList(searchPath) {
		p := filepath.Join(dir, name)
		if info, err := os.Stat(p); err == nil && info.Mode()&0o111 != 0 && info.Mode().IsRegular() {
			return p
		}
	}
	return ""
}

// addPrograms puts the host's programs and OVS's into the archive.
func addPrograms(ctx context.Context, a *archive, ovsRoot string) error {
	var missing []string
	for _, name := range programs {
		p := which(name)
		if p == "" {
			missing = append(missing, name)
			continue
		}
		if err := a.program("/bin/"+name, p, ""); err != nil {
			return err
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("not on this host: %s; scripts/packages.sh vm installs them", strings.Join(missing, ", "))
	}
	for _, lib := range libraries {
		if p, err := filepath.Glob("/lib/x86_64-linux-gnu/" + lib); err == nil && len(p) > 0 {
			a.copy(p[0], p[0])
		}
	}
	for _, f := range extras {
		if _, err := os.Stat(f); err == nil {
			a.copy(f, f)
		}
	}
	for _, p := range ovs {
		from := filepath.Join(ovsRoot, p)
		if _, err := os.Stat(from); err != nil {
			continue
		}
		if err := a.program("/bin/"+filepath.Base(p), from, ovsRoot); err != nil {
			return err
		}
	}
	schema := filepath.Join(ovsRoot, "usr/share/openvswitch/vswitch.ovsschema")
	a.copy("/usr/share/openvswitch/vswitch.ovsschema", schema)
	return a.err
}

// program adds one program and what it is linked with; root holds libraries that
// the host need not have.
func (a *archive) program(name, from, root string) error {
	a.copy(name, from)
	f, err := elf.Open(from)
	if err != nil {
		return nil // a script
	}
	defer f.Close()
	if libs, err := f.ImportedLibraries(); err != nil || len(libs) == 0 {
		return err
	}
	cmd := exec.Command("ldd", from)
	if root != "" {
		cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+filepath.Join(root, "usr/lib/x86_64-linux-gnu")+":"+filepath.Join(root, "lib/x86_64-linux-gnu"))
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
			a.copy("/lib/x86_64-linux-gnu/"+filepath.Base(fields[0]), fields[2])
		case len(fields) >= 1 && strings.HasPrefix(fields[0], "/"):
			a.copy(fields[0], fields[0]) // the loader
		}
	}
	return nil
}

// fetchOVS brings Open vSwitch and its libraries into the cache.
func fetchOVS(ctx context.Context, cache string) (string, error) {
	version, err := candidate(ctx, "openvswitch-switch")
	if err != nil {
		return "", err
	}
	root := filepath.Join(cache, "ovs-"+version)
	if _, err := os.Stat(root); err == nil {
		return root, nil
	}
	pkgs := []string{"openvswitch-switch", "openvswitch-common"} // and libraries
	out, err := exec.CommandContext(ctx, "apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks",
		"--no-replaces", "--no-enhances", "openvswitch-switch").Output()
	if err != nil {
		return "", fmt.Errorf("apt-cache depends openvswitch-switch: %w", errors.Join(err, ctx.Err()))
	}
	for line := range bytes.Lines(out) {
		name := string(bytes.TrimSpace(line))
		for _, lib := range []string{"libunbound", "libxdp", "libbpf", "libevent-2", "libnuma", "libdpdk", "librte", "libunwind", "libhiredis", "libprotobuf-c"} {
			if !bytes.HasPrefix(line, []byte(" ")) && strings.HasPrefix(name, lib) && !slices.Contains(pkgs, name) {
				pkgs = append(pkgs, name)
			}
		}
	}
	return root, unpack(ctx, cache, root, pkgs...)
}
