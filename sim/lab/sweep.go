package lab

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// runNetns is where `ip netns` keeps its names.
const runNetns = "/run/netns"

// name is the name of a lab's namespace: lab-PID-SERIAL-ROLE.
type name struct {
	pid, serial int
	role        string
}

func (n name) String() string { return fmt.Sprintf("lab-%d-%d-%s", n.pid, n.serial, n.role) }

// parseName reads a namespace's name; ok is false for those of others.
func parseName(s string) (n name, ok bool) {
	parts := strings.Split(s, "-")
	if len(parts) != 4 || parts[0] != "lab" {
		return name{}, false
	}
	var errs [2]error
	n.pid, errs[0] = strconv.Atoi(parts[1])
	n.serial, errs[1] = strconv.Atoi(parts[2])
	n.role = parts[3]
	return n, errors.Join(errs[:]...) == nil && n.pid > 0
}

// Sweep removes namespaces of labs whose program no longer runs, and says which.
// Their processes have been told to end when the program died.
func Sweep() (removed []string, err error) {
	entries, err := os.ReadDir(runNetns)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list namespaces: %w", err)
	}
	var errs []error
	for _, e := range entries {
		n, ok := parseName(e.Name())
		if !ok || alive(n.pid) {
			continue
		}
		if err := deleteNamespace(e.Name()); err != nil {
			errs = append(errs, err)
			continue
		}
		removed = append(removed, e.Name())
	}
	return removed, errors.Join(errs...)
}

func alive(pid int) bool {
	_, err := os.Stat("/proc/" + strconv.Itoa(pid))
	return err == nil
}
