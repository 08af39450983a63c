package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Kernel is one unpacked kernel with its headers.
type Kernel struct {
	Series  string // "6.1"
	Release string // "6.1.0-40-amd64"
	Root    string // where its packages were unpacked
	Image   string // what qemu boots
}

// series are the kernels that can be had: their names, and the metapackage that
// depends on the newest of each.
var series = []struct{ name, meta string }{
	{"6.1", "linux-image-amd64"}, // Debian 12's own
	{"6.12", "linux-image-6.12-amd64"},
}

// Series lists the kernels' short names.
func Series() []string {
	var out []string
	for _, s := range series {
		out = append(out, s.name)
	}
	return out
}

// kernel finds a kernel in the cache or brings it there: image, headers and the
// scripts that build a module.
func (c *Config) kernel(ctx context.Context, name string) (*Kernel, error) {
	meta := ""
	for _, s := range series {
		if s.name == name {
			meta = s.meta
		}
	}
	if meta == "" {
		return nil, fmt.Errorf("kernel %q is not known; there are: %s", name, strings.Join(Series(), ", "))
	}
	root, err := c.unpacked(ctx, "kernel-"+name, func(ctx context.Context) (set, error) { return kernelSet(ctx, meta) })
	if err != nil {
		return nil, fmt.Errorf("kernel %s: %w", name, err)
	}
	images, err := filepath.Glob(filepath.Join(root, "boot", "vmlinuz-*"))
	if err != nil || len(images) != 1 {
		return nil, fmt.Errorf("kernel %s: %d images in %s/boot, not one; remove %s", name, len(images), root, root)
	}
	k := &Kernel{Series: name, Release: strings.TrimPrefix(filepath.Base(images[0]), "vmlinuz-"), Root: root}
	if k.Image, err = plainImage(ctx, images[0], filepath.Join(root, "vmlinux")); err != nil {
		return nil, fmt.Errorf("kernel %s: %w", name, err)
	}
	return k, nil
}

func kernelSet(ctx context.Context, meta string) (set, error) {
	graph, err := depends(ctx, meta)
	if err != nil {
		return set{}, err
	}
	image, err := dependency(graph, meta, `^linux-image-[0-9]\S*-amd64$`)
	if err != nil {
		return set{}, err
	}
	version, err := candidate(ctx, image)
	if err != nil {
		return set{}, err
	}
	headers := "linux-headers-" + strings.TrimPrefix(image, "linux-image-")
	if graph, err = depends(ctx, headers); err != nil {
		return set{}, err
	}
	common, err1 := dependency(graph, headers, `^linux-headers-\S*-common$`)
	kbuild, err2 := dependency(graph, headers, `^linux-kbuild-\S*$`)
	return set{version, []string{image, headers, common, kbuild}}, errors.Join(err1, err2)
}

// plainImage gives the kernel without its own decompressor, which takes seconds in
// emulation. Such an image is entered by PVH.
func plainImage(ctx context.Context, image, path string) (string, error) {
	if used(path) {
		return path, nil
	}
	data, err := os.ReadFile(image)
	if err != nil {
		return "", err
	}
	payload, err := payloadOf(data)
	if err != nil {
		return "", fmt.Errorf("%s: %w", image, err)
	}
	plain, err := decompress(ctx, payload)
	if err != nil {
		return "", fmt.Errorf("%s: %w", image, err)
	}
	return path, writeWhole(path, plain)
}

// writeWhole makes a file that is there entirely or not at all.
func writeWhole(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "tmp-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
