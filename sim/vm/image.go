package vm

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// base makes the archive that is the same for every run on one kernel: modules and
// programs. It is kept in the cache under a name that tells what went in: by this
// recipe, with what this host's packages are. With it comes the list of
// modules to load, in order, which lies beside it.
func (c *Config) base(ctx context.Context, k *Kernel) (path string, load []string, err error) {
	ovsRoot, err := c.unpacked(ctx, "ovs", ovsSet)
	if err != nil {
		return "", nil, fmt.Errorf("open vswitch: %w", err)
	}
	sum := sha256.New()
	fmt.Fprintln(sum, filepath.Base(k.Root), filepath.Base(ovsRoot))
	if info, err := os.Stat("/var/lib/dpkg/status"); err == nil {
		fmt.Fprintln(sum, info.Size(), info.ModTime().UnixNano())
	}
	if err := hashRecipe(sum); err != nil {
		return "", nil, err
	}
	path = filepath.Join(c.Cache, "base-"+k.Series+"-"+hex.EncodeToString(sum.Sum(nil)[:8]))
	if text, err := os.ReadFile(path + ".load"); err == nil && used(path+".cpio") {
		used(path + ".load")
		return path + ".cpio", strings.Fields(string(text)), nil
	}
	c.log("pack modules of %s and programs", k.Release)
	x, err := k.index(ctx)
	if err != nil {
		return "", nil, err
	}
	if load, err = x.order(modules); err != nil {
		return "", nil, err
	}
	all, err := x.order(slices.Concat(modules, x.had(atHand)))
	if err != nil {
		return "", nil, err
	}
	if err := writeWhole(path+".load", []byte(strings.Join(load, "\n"))); err != nil {
		return "", nil, err
	}
	return path + ".cpio", load, c.pack(ctx, path+".cpio", k, x, all, ovsRoot)
}

func (c *Config) pack(ctx context.Context, path string, k *Kernel, x *index, files []string, ovsRoot string) error {
	f, err := os.CreateTemp(c.Cache, "tmp-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	a := newArchive(f)
	for _, d := range []string{"dev", "proc", "sys", "run", "tmp", "root", "var/log", "var/lib", "usr/share", "etc/openvswitch"} {
		a.dir(d)
	}
	a.char("dev/console", 5, 1)
	a.char("dev/null", 1, 3)
	a.file("etc/passwd", []byte("root:x:0:0:root:/root:/bin/bash\n"), 0o644)
	a.file("etc/group", []byte("root:x:0:\n"), 0o644)
	a.file("etc/nsswitch.conf", []byte("passwd: files\ngroup: files\nhosts: files\n"), 0o644)
	a.file("etc/hosts", []byte("127.0.0.1 localhost\n::1 localhost\n"), 0o644)
	a.file("etc/modprobe.d/interfaces.conf", []byte("options ifb numifbs=0\noptions bonding max_bonds=0\noptions dummy numdummies=0\n"), 0o644)
	a.link("var/run", "/run")
	for _, d := range []string{"usr/bin", "usr/sbin", "sbin", "usr/local/bin"} {
		a.link(d, "/bin")
	}
	if err := c.addModules(ctx, a, k, x, files); err != nil {
		return err
	}
	if err := addPrograms(ctx, a, ovsRoot); err != nil {
		return err
	}
	// The kernel's configuration, for programs that ask what it was built with.
	a.copy("boot/config-"+k.Release, filepath.Join(k.Root, "boot", "config-"+k.Release))
	if err := a.end(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// recipe is the source that decides what goes into a base: when it changes, an old
// one is none.
//
//go:embed archive.go image.go module.go programs.go
var recipe embed.FS

func hashRecipe(w io.Writer) error {
	return fs.WalkDir(recipe, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := recipe.ReadFile(name)
		if err != nil {
			return err
		}
		_, err = w.Write(text)
		return err
	})
}

// initrd puts base and what is to be run into one file: the kernel unpacks
// archives that follow one another.
func (c *Config) initrd(dir, basePath, module string, b *built, plan *Plan) (string, error) {
	at := filepath.Join(dir, "initrd")
	f, err := os.Create(at)
	if err != nil {
		return "", err
	}
	defer f.Close()
	from, err := os.Open(basePath)
	if err != nil {
		return "", err
	}
	defer from.Close()
	if _, err := io.Copy(f, from); err != nil {
		return "", err
	}
	a := newArchive(f)
	for _, d := range []string{"bin", "lib", "lib/modules"} {
		a.have[d] = true // base has them
	}
	a.copy("init", b.init)
	for _, p := range b.programs {
		a.copy("bin/"+filepath.Base(p), p)
	}
	a.copy(simnicPath, module)
	for _, s := range b.suites {
		a.copy(s.Binary, s.from)
		a.dir(s.Dir)
		a.folder(s.Dir, filepath.Join(c.Top, s.Package))
	}
	text, err := json.Marshal(plan)
	if err != nil {
		return "", err
	}
	a.file(PlanFile, text, 0o644)
	return at, a.end()
}

// simnicPath is where the guest has our module.
const simnicPath = "/lib/modules/simnic.ko"

// folder adds what a package's tests may read: testdata, and the files beside the
// sources.
func (a *archive) folder(name, from string) {
	entries, err := os.ReadDir(from)
	if err != nil {
		a.fail(err)
		return
	}
	for _, e := range entries {
		switch {
		case e.IsDir() && e.Name() == "testdata":
			a.tree(path.Join(name, e.Name()), filepath.Join(from, e.Name()))
		case e.Type()&fs.ModeType == 0 && !strings.HasSuffix(e.Name(), ".go"):
			a.copy(path.Join(name, e.Name()), filepath.Join(from, e.Name()))
		}
	}
}
