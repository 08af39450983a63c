//go:build netns

package xdp

import (
	"os"

	"golang.org/x/sys/unix"
)

func unixMountBPF() error {
	if err := os.MkdirAll("/sys/fs/bpf", 0o755); err != nil {
		return err
	}
	return unix.Mount("bpf", "/sys/fs/bpf", "bpf", 0, "mode=0700")
}
