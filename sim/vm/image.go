package vm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
)

// base makes the archive that is the same for every run on one kernel: modules and
// programs. It is kept in the cache under a name that tells what went in.
func base(ctx context.Context, cache string, k *Kernel, order []string) (string, error) {
	ovsRoot, err := fetchOVS(ctx, cache)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	fmt.Fprintln(sum, filepath.Base(k.Root), order, programs, libraries, extras, ovs, filepath.Base(ovsRoot))
	for _, p := range programs {
		if info, err := os.Stat(which(p)); err == nil {
			fmt.Fprintln(sum, p, info.Size(), info.ModTime().UnixNano())
		}
	}
	path := filepath.Join(cache, "base-"+k.Release+"-"+hex.EncodeToString(sum.Sum(nil)[:8])+".cpio")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if old, err := filepath.Glob(filepath.Join(cache, "base-"+k.Release+"-*.cpio")); err == nil {
		for _, f := range old {
			_ = os.Remove(f) // of other programs; a run that has it open keeps it
		}
	}
	f, err := os.CreateTemp(cache, "base-*.tmp")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	a := newArchive(f)
	for _, d := range []string{"dev", "proc", "sys", "run/netns", "tmp", "root", "etc", "var/run", "var/log", "usr/share"} {
		a.dir(d)
	}
	a.char("dev/console", 5, 1)
	a.char("dev/null", 1, 3)
	a.file("etc/passwd", []byte("root:x:0:0:root:/root:/bin/sh\n"), 0o644)
	a.file("etc/group", []byte("root:x:0:\n"), 0o644)
	a.file("etc/nsswitch.conf", []byte("passwd: files\ngroup: files\nhosts: files\n"), 0o644)
	a.file("etc/hosts", []byte("127.0.0.1 localhost\n::1 localhost\n"), 0o644)
	for _, d := range []string{"usr/bin", "usr/sbin", "sbin", "usr/local/bin"} {
		a.link(d, "/bin")
	}
	for _, m := range order {
		data, err := plain(ctx, filepath.Join(k.Root, "lib", "modules", k.Release, m))
		if err != nil {
			return "", err
		}
		a.file(modulePath(m), data, 0o644)
	}
	if err := addPrograms(ctx, a, ovsRoot); err != nil {
		return "", err
	}
	// The kernel's configuration, for programs that ask what it was built with.
	a.copy("boot/config-"+k.Release, filepath.Join(k.Root, "boot", "config-"+k.Release))
	if err := a.end(); err != nil {
		return "", err
	}
	return path, os.Rename(f.Name(), path)
}

func modulePath(m string) string { return "/lib/modules/" + moduleName(m) + ".ko" }

// simnic builds the module for a kernel.
func simnic(ctx context.Context, top, out string, k *Kernel) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(top, "sim/kmod/build.sh"), k.Root, k.Release, out)
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build simnic.ko for %s: %w\n%s", k.Release, err, text)
	}
	return filepath.Join(out, "simnic.ko"), nil
}

// Built is what was compiled for the guest.
type Built struct {
	dir    string
	suites []Suite
	bins   []string // programs' names
}

// guestPrograms are the module's own programs that the guest has in its PATH.
var guestPrograms = []string{"shuntd", "shuntctl", "shunt-demo", "shunt-bench"}

// Build compiles the programs, init, and the test binaries of packages, into dir.
// Everything is static: no library of this host is needed.
func Build(ctx context.Context, top, dir string, pkgs []string, log func(string, ...any)) (*Built, error) {
	b := &Built{dir: dir, bins: guestPrograms}
	run := func(args ...string) error {
		cmd := exec.CommandContext(ctx, goCommand(), args...)
		cmd.Dir = top
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
		}
		return nil
	}
	args := []string{"build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(dir, "bin") + "/", "./sim/vm/init"}
	for _, p := range guestPrograms {
		args = append(args, "./cmd/"+p)
	}
	if err := run(args...); err != nil {
		return nil, err
	}
	for _, p := range pkgs {
		name := strings.ReplaceAll(strings.TrimPrefix(p, "./"), "/", "-") + ".test"
		log("compile %s", p)
		if err := run("test", "-c", "-trimpath", "-ldflags=-s -w", "-tags", "vm", "-o", filepath.Join(dir, name), p); err != nil {
			return nil, err
		}
		b.suites = append(b.suites, Suite{Package: p, Binary: "/test/" + name, Dir: "/src/" + strings.TrimPrefix(p, "./"), Limit: suiteLimit})
	}
	return b, nil
}

// suiteLimit is how long one package may take, in seconds of an emulated machine.
const suiteLimit = 900

func goCommand() string {
	if g := os.Getenv("GO"); g != "" {
		return g
	}
	return "go"
}

// Packages finds those that have tests for the guest, as go names them.
func Packages(top string) ([]string, error) {
	cmd := exec.Command("grep", "-rl", "--include=*_test.go", "^//go:build vm", ".")
	cmd.Dir = top
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("no package has tests with the build tag vm: %w", err)
	}
	seen := map[string]bool{}
	var pkgs []string
	for line := range strings.Lines(string(out)) {
		if dir := filepath.Dir(strings.TrimSpace(line)); !seen[dir] {
			seen[dir] = true
			pkgs = append(pkgs, "./"+filepath.Clean(dir))
		}
	}
	sort.Strings(pkgs)
	return pkgs, nil
}

// initrd puts base and what is to be run into one file: the kernel unpacks
// archives that follow one another.
func initrd(top, dir, basePath, module string, b *Built, plan *Plan) (string, error) {
	path := filepath.Join(dir, "initrd")
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := os.ReadFile(basePath)
	if err != nil {
		return "", err
	}
	if _, err := f.Write(data); err != nil {
		return "", err
	}
	a := newArchive(f)
	for _, d := range []string{"bin", "lib", "lib/x86_64-linux-gnu", "lib64", "dev", "proc", "sys", "etc", "tmp", "lib/modules"} {
		a.have[d] = true // base has them
	}
	a.copy("init", filepath.Join(b.dir, "bin", "init"))
	for _, p := range b.bins {
		a.copy("bin/"+p, filepath.Join(b.dir, "bin", p))
	}
	a.copy("lib/modules/simnic.ko", module)
	for _, s := range b.suites {
		a.copy(s.Binary, filepath.Join(b.dir, filepath.Base(s.Binary)))
		a.dir(s.Dir)
		if td := filepath.Join(top, s.Package, "testdata"); isDir(td) {
			a.tree(filepath.Join(s.Dir, "testdata"), td)
		}
	}
	text, err := json.Marshal(plan)
	if err != nil {
		return "", err
	}
	a.file(PlanFile, text, 0o644)
	return path, a.end()
}

func isDir(p string) bool {
	info, err := os.Stat(p)
	return err == nil && info.IsDir()
}
