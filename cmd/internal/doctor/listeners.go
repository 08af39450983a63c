package doctor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"
)

// listener is a netlink socket that hears of every filter.
type listener struct {
	inode string
	pid   int    // 0 when its process cannot be seen
	line  string // its command line
}

// listeners looks for sockets in the group RTNLGRP_TC of this network namespace:
// for each of them the kernel writes out a whole filter, and asks the card for its
// counters, at every insert and delete.
func listeners(_ context.Context, h *host) []Finding {
	f := Finding{Name: "tc_listeners", Text: "nobody listens to changes of filters"}
	list, err := h.tcListeners()
	if err != nil {
		f.Level, f.Text = Warn, "listeners to changes of filters cannot be listed: "+err.Error()
		return []Finding{f}
	}
	if len(list) == 0 {
		return []Finding{f}
	}
	var out []Finding
	for _, l := range list {
		f := Finding{Name: "tc_listeners", Level: Warn}
		const cost = "so the kernel writes out each rule, counters included, at every insert and delete: both become slower"
		if l.pid == 0 {
			f.Text = "a process that cannot be seen from here (socket " + l.inode + ") listens to changes of filters, " + cost
			f.Mend = h.again() + "   # root sees whose it is"
		} else {
			f.Text = fmt.Sprintf("process %d (%s) listens to changes of filters, %s", l.pid, l.line, cost)
			f.Mend = fmt.Sprintf("sudo kill %d   # if nobody needs it", l.pid)
		}
		out = append(out, f)
	}
	return out
}

// tcListeners reads /proc/net/netlink: "sk Eth Pid Groups Rmem Wmem Dump Locks
// Drops Inode", with the first 32 groups as bits.
func (h *host) tcListeners() ([]listener, error) {
	text, err := read(h.proc + "/thread-self/net/netlink")
	if err != nil {
		return nil, err
	}
	var out []listener
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 10 || f[1] != strconv.Itoa(unix.NETLINK_ROUTE) {
			continue
		}
		groups, err := strconv.ParseUint(f[3], 16, 32)
		if err == nil && groups&(1<<(unix.RTNLGRP_TC-1)) != 0 {
			out = append(out, listener{inode: f[9]})
		}
	}
	if len(out) > 0 {
		h.holders(out)
	}
	return out, nil
}

// holders finds the process that holds each socket.
func (h *host) holders(list []listener) {
	fds, _ := filepath.Glob(h.proc + "/[0-9]*/fd/*")
	for _, fd := range fds {
		to, err := os.Readlink(fd)
		if err != nil || !strings.HasPrefix(to, "socket:[") {
			continue
		}
		for i := range list {
			if list[i].pid != 0 || to != "socket:["+list[i].inode+"]" {
				continue
			}
			dir := filepath.Dir(filepath.Dir(fd))
			list[i].pid, _ = strconv.Atoi(filepath.Base(dir))
			list[i].line = commandLine(dir)
		}
	}
}

// commandLine is what a process was started as, shortened.
func commandLine(dir string) string {
	const most = 60
	b, _ := os.ReadFile(dir + "/cmdline")
	line := strings.TrimSpace(strings.Join(strings.FieldsFunc(string(b), func(r rune) bool { return r == 0 }), " "))
	if line == "" {
		line, _ = read(dir + "/comm")
	}
	line = strings.Map(func(r rune) rune { // whoever started it chose these words
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, line)
	if r := []rune(line); len(r) > most {
		line = string(r[:most]) + "…"
	}
	return line
}
