package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// state is what a suite has to leave as it was.
type state struct {
	links map[string]bool
	taint uint64
}

// broken are the kernel's taint flags that say that it has seen itself fail: bad
// page, death, warning, soft lockup (Documentation/admin-guide/tainted-kernels.rst).
const broken = 1<<5 | 1<<7 | 1<<9 | 1<<14

func look() state {
	s := state{links: map[string]bool{}}
	for _, p := range list("/sys/class/net/*") {
		s.links[filepath.Base(p)] = true
	}
	if text, err := os.ReadFile("/proc/sys/kernel/tainted"); err == nil {
		s.taint, _ = strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	}
	return s
}

func list(pattern string) []string {
	found, _ := filepath.Glob(pattern)
	return found
}

// left says what is there that was not. It is removed, so that the next suite is
// judged for its own.
func (was *state) left() []string {
	var out []string
	if p := processes(); len(p) > 0 {
		out = append(out, "processes "+strings.Join(slices.Sorted(maps.Values(p)), ", "))
		for pid := range p {
			_ = unix.Kill(pid, unix.SIGKILL) // gone is what it should be
		}
	}
	reap()
	// A namespace whose last process has died goes some time later.
	for deadline := time.Now().Add(3 * time.Second); len(was.things()) > 0 && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
	}
	out = append(out, was.things()...)
	for _, c := range list("/sys/bus/simnic/devices/*") {
		_ = os.WriteFile("/sys/bus/simnic/del_device", []byte(strings.TrimPrefix(filepath.Base(c), "simnic")), 0o200)
	}
	for _, n := range list("/run/netns/*") {
		_ = exec.Command("ip", "netns", "del", filepath.Base(n)).Run()
	}
	now := look()
	for l := range now.links {
		if !was.links[l] {
			_ = exec.Command("ip", "link", "del", l).Run()
		}
	}
	if rules, err := exec.Command("nft", "list", "ruleset").Output(); err == nil && len(bytes.TrimSpace(rules)) > 0 {
		out = append(out, "an nftables ruleset")
		_ = exec.Command("nft", "flush", "ruleset").Run()
	}
	if fresh := now.taint &^ was.taint & broken; fresh != 0 {
		out = append(out, fmt.Sprintf("a kernel that has seen a bug (taint %#x); the console has its words", fresh))
		was.taint |= fresh
	}
	return out
}

// things are cards, namespaces and interfaces that are there and were not.
func (was *state) things() []string {
	var out []string
	for _, c := range list("/sys/bus/simnic/devices/*") {
		out = append(out, "card "+filepath.Base(c))
	}
	for _, n := range list("/run/netns/*") {
		out = append(out, "namespace "+filepath.Base(n))
	}
	for l := range look().links {
		if !was.links[l] {
			out = append(out, "interface "+l)
		}
	}
	slices.Sort(out)
	return out
}

// processes are all but this one and the kernel's own, which have no command line.
func processes() map[int]string {
	out := map[int]string{}
	for _, p := range list("/proc/[0-9]*") {
		pid, err := strconv.Atoi(filepath.Base(p))
		if err != nil || pid == os.Getpid() {
			continue
		}
		if line, err := os.ReadFile(filepath.Join(p, "cmdline")); err == nil && len(line) > 0 {
			out[pid] = strings.TrimSpace(string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
		}
	}
	return out
}

// reap takes up the processes whose parents died before them, those that have just
// been killed too.
func reap() {
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if err != nil { // ECHILD: none is left
			return
		}
		if pid == 0 {
			time.Sleep(10 * time.Millisecond)
		}
	}
}
