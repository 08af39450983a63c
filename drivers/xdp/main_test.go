package xdp

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails on goroutines and file descriptors that tests leave behind.
func TestMain(m *testing.M) {
	before := descriptors()
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	// The runtime's poller takes three for itself, the eBPF library keeps the
	// results of its feature probes.
	if after := descriptors(); after > before+8 && code == 0 {
		fmt.Fprintf(os.Stderr, "%d file descriptors, %d before the tests\n", after, before)
		code = 1
	}
	os.Exit(code)
}

func descriptors() int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(list)
}
