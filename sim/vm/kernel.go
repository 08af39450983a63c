package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// Kernel is one unpacked kernel with its headers.
type Kernel struct {
	Series  string // "6.1"
	Release string // "6.1.0-40-amd64"
	Root    string // where its packages were unpacked
}

// Image is the kernel that qemu boots.
func (k *Kernel) Image() string { return filepath.Join(k.Root, "boot", "vmlinuz-"+k.Release) }

// series are the kernels that can be had, by the metapackage that names the newest.
var series = map[string]string{"6.1": "linux-image-amd64", "6.12": "linux-image-6.12-amd64"}

// Series lists the kernels' short names.
func Series() []string { return []string{"6.1", "6.12"} }

// Fetch finds a kernel in the cache or brings it there: image, headers and the
// scripts that build a module. The error names the package that is missing.
func Fetch(ctx context.Context, cache, short string) (*Kernel, error) {
	meta, ok := series[short]
	if !ok {
		return nil, fmt.Errorf("kernel %q is not known; there are: %s", short, strings.Join(Series(), ", "))
	}
	image, err := depends(ctx, meta, `^linux-image-[0-9]\S*-amd64$`)
	if err != nil {
		if k := newest(cache, short); k != nil {
			return k, nil // no package list here, but an earlier run has had one
		}
		return nil, err
	}
	release := strings.TrimPrefix(image, "linux-image-")
	headers := "linux-headers-" + release
	version, err := candidate(ctx, image)
	if err != nil {
		return nil, err
	}
	k := &Kernel{Series: short, Release: release, Root: filepath.Join(cache, "kernel-"+short+"-"+strings.ReplaceAll(version, ":", "_"))}
	if _, err := os.Stat(k.Root); err == nil {
		return k, nil
	}
	common, err := depends(ctx, headers, `^linux-headers-\S*-common$`)
	if err != nil {
		return nil, err
	}
	kbuild, err := depends(ctx, headers, `^linux-kbuild-\S*$`)
	if err != nil {
		return nil, err
	}
	if err := unpack(ctx, cache, k.Root, image, headers, common, kbuild); err != nil {
		return nil, err
	}
	return k, nil
}

// depends gives the first dependency of a package whose name fits.
func depends(ctx context.Context, pkg, pattern string) (string, error) {
	want := regexp.MustCompile(pattern)
	for try := range 2 {
		out, err := exec.CommandContext(ctx, "apt-cache", "depends", pkg).Output()
		if errors.Is(err, exec.ErrNotFound) {
			return "", errors.New("there is no apt-cache: the kernels come from Debian's packages, so this runs on Debian 12 or like it")
		}
		for line := range strings.Lines(string(out)) {
			if name, ok := strings.CutPrefix(strings.TrimSpace(line), "Depends: "); ok && want.MatchString(name) {
				return name, nil
			}
		}
		if try == 0 && os.Geteuid() == 0 {
			if out, err := exec.CommandContext(ctx, "apt-get", "update", "-qq").CombinedOutput(); err != nil {
				return "", fmt.Errorf("package %s is not known and apt-get update failed: %w: %s", pkg, err, bytes.TrimSpace(out))
			}
		}
	}
	return "", fmt.Errorf("package %s is not known to apt-cache, or depends on nothing like %s; run apt-get update, and see that Debian 12's security archive is among the sources", pkg, pattern)
}

func candidate(ctx context.Context, pkg string) (string, error) {
	out, err := exec.CommandContext(ctx, "apt-cache", "show", "--no-all-versions", pkg).Output()
	if err != nil {
		return "", fmt.Errorf("apt-cache show %s: %w", pkg, err)
	}
	for line := range strings.Lines(string(out)) {
		if v, ok := strings.CutPrefix(line, "Version: "); ok {
			return strings.TrimSpace(v), nil
		}
	}
	return "", fmt.Errorf("apt-cache show %s tells no version", pkg)
}

// unpack downloads packages and puts their files under root, all or nothing.
func unpack(ctx context.Context, cache, root string, pkgs ...string) error {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(cache, "unpack-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	debs, tree := filepath.Join(tmp, "debs"), filepath.Join(tmp, "tree")
	if err := errors.Join(os.Mkdir(debs, 0o777), os.Mkdir(tree, 0o755)); err != nil {
		return err
	}
	for _, p := range pkgs {
		// APT's own sandbox cannot enter a private cache; nothing is installed here.
		cmd := exec.CommandContext(ctx, "apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", p)
		cmd.Dir = debs
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get download %s: %w: %s", p, err, bytes.TrimSpace(out))
		}
	}
	files, err := filepath.Glob(filepath.Join(debs, "*.deb"))
	if err != nil || len(files) != len(pkgs) {
		return fmt.Errorf("apt-get download %s brought %d files: %w", strings.Join(pkgs, " "), len(files), err)
	}
	for _, f := range files {
		if out, err := exec.CommandContext(ctx, "dpkg", "-x", f, tree).CombinedOutput(); err != nil {
			return fmt.Errorf("dpkg -x %s: %w: %s", filepath.Base(f), err, bytes.TrimSpace(out))
		}
	}
	if err := os.Rename(tree, root); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// newest is the kernel of a series that was unpacked last, nil without one.
func newest(cache, short string) *Kernel {
	roots, _ := filepath.Glob(filepath.Join(cache, "kernel-"+short+"-*"))
	for i := len(roots) - 1; i >= 0; i-- {
		if images, _ := filepath.Glob(filepath.Join(roots[i], "boot", "vmlinuz-*")); len(images) == 1 {
			return &Kernel{Series: short, Release: strings.TrimPrefix(filepath.Base(images[0]), "vmlinuz-"), Root: roots[i]}
		}
	}
	return nil
}
