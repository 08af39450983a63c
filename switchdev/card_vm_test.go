//go:build vm

package switchdev

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/shunt-offload/shunt/hwif"
)

var cards atomic.Uint32

// simCard is a simnic card in the initial namespace, until the test ends.
type simCard struct {
	t    testing.TB
	n    uint32
	dev  Handle
	gone bool
}

// newCard makes one: "profile=mlx5 uplinks=1 vfs=2 sfs=1 …".
func newCard(t testing.TB, options string) *simCard {
	t.Helper()
	n := cards.Add(1)
	c := &simCard{t: t, n: n, dev: Handle{Bus: "simnic", Name: fmt.Sprintf("simnic%d", n)}}
	put(t, "/sys/bus/simnic/new_device", fmt.Sprintf("id=%d %s", n, options))
	t.Cleanup(c.remove)
	return c
}

func (c *simCard) remove() {
	c.t.Helper()
	if !c.gone {
		c.gone = true
		put(c.t, "/sys/bus/simnic/del_device", fmt.Sprint(c.n))
	}
}

// fault writes to the card's debugfs.
func (c *simCard) fault(name, value string) {
	c.t.Helper()
	put(c.t, "/sys/kernel/debug/simnic/"+c.dev.Name+"/"+name, value)
}

// name is the card's interface: "p0" is "sim3p0".
func (c *simCard) name(port string) string { return fmt.Sprintf("sim%d%s", c.n, port) }

func put(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text+"\n"), 0); err != nil {
		t.Fatalf("write %q: %v", text, err)
	}
}

// look reads the inventory, which must be without problems.
func look(t testing.TB) *Inventory {
	t.Helper()
	inv, err := Read(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range inv.Problems {
		t.Errorf("problem: %v", p)
	}
	return inv
}

// open is a Conn until the test ends.
func open(t testing.TB) *Conn {
	t.Helper()
	c, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// watchCards is a running Watcher.
func watchCards(t testing.TB, o WatchOptions) *watching {
	t.Helper()
	w, err := NewWatcher(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return follow(t, w)
}

// port is a card's port in an inventory.
func (c *simCard) port(inv *Inventory, name string) *Port {
	c.t.Helper()
	p, ok := inv.ByName(c.name(name))
	if !ok {
		c.t.Fatalf("%s is not a port", c.name(name))
	}
	return p
}

// says runs a program that prints JSON.
func says(t testing.TB, into any, line string) {
	t.Helper()
	words := strings.Fields(line)
	out, err := exec.Command(words[0], words[1:]...).Output()
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	if err := json.Unmarshal(out, into); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
}

// appeared and vanished are conditions for until.
func appeared(name string) func(Event) bool {
	return func(e Event) bool { a, ok := e.(PortAppeared); return ok && a.Port.Name == name }
}

func vanished(i hwif.Ifindex) func(Event) bool {
	return func(e Event) bool { v, ok := e.(PortVanished); return ok && v.Port.Ifindex == i }
}

func changed(name string, what Change) func(Event) bool {
	return func(e Event) bool {
		c, ok := e.(PortChanged)
		return ok && c.New.Name == name && c.What&what != 0
	}
}
