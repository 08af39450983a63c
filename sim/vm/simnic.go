package vm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
)

// simnic gives the module for a kernel, and builds it when its source is not what
// it was.
func (c *Config) simnic(ctx context.Context, k *Kernel) (string, error) {
	src := filepath.Join(c.Top, "sim", "kmod")
	entries, err := os.ReadDir(src)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	fmt.Fprintln(sum, filepath.Base(k.Root))
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		data, err := os.ReadFile(filepath.Join(src, e.Name()))
		if err != nil {
			return "", err
		}
		fmt.Fprintln(sum, e.Name(), len(data))
		sum.Write(data)
	}
	at := filepath.Join(c.Cache, "simnic-"+k.Series+"-"+hex.EncodeToString(sum.Sum(nil)[:8])+".ko")
	if used(at) {
		return at, nil
	}
	out, err := os.MkdirTemp(c.Cache, "tmp-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(out)
	c.log("build simnic.ko for %s", k.Release)
	if err := said(program(ctx, src, filepath.Join(src, "build.sh"), k.Root, k.Release, out)); err != nil {
		return "", fmt.Errorf("build simnic.ko for %s: %w", k.Release, err)
	}
	ko := filepath.Join(out, "simnic.ko")
	used(ko)
	return at, os.Rename(ko, at)
}
