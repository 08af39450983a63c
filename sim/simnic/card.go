package simnic

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	bus     = "/sys/bus/simnic"
	debugfs = "/sys/kernel/debug/simnic"
)

// Options of a card; zero values are the module's defaults.
type Options struct {
	ID       uint
	Profile  string // "flower" (default), "mlx5", "ice", "nfp", "bnxt"
	Uplinks  uint   // default 1
	VFs      uint   // default 2; NoVFs for none
	NoVFs    bool
	SFs      uint
	Rules    uint   // size of the table, default 65536
	Serial   uint64 // of the card: two with the same one are two functions of one card
	Mode     string // "legacy" or "switchdev"; the profile's own by default
	CounterM int    // counter_ms: period of the counter cache, -1 for live counters
}

// Card is one card of the module.
type Card struct{ opts Options }

// Present reports whether the module is loaded.
func Present() bool {
	_, err := os.Stat(bus)
	return err == nil
}

// New makes a card in the calling thread's network namespace.
func New(o Options) (*Card, error) {
	line := fmt.Sprintf("id=%d", o.ID)
	add := func(key string, v any, is bool) {
		if is {
			line += fmt.Sprintf(" %s=%v", key, v)
		}
	}
	add("profile", o.Profile, o.Profile != "")
	add("uplinks", o.Uplinks, o.Uplinks != 0)
	add("vfs", o.VFs, o.VFs != 0 || o.NoVFs)
	add("sfs", o.SFs, o.SFs != 0)
	add("rules", o.Rules, o.Rules != 0)
	add("serial", fmt.Sprintf("%x", o.Serial), o.Serial != 0)
	add("mode", o.Mode, o.Mode != "")
	if err := os.WriteFile(bus+"/new_device", []byte(line), 0o200); err != nil {
		return nil, fmt.Errorf("make card %q: %w; the kernel's log has its words", line, err)
	}
	c := &Card{opts: o}
	switch {
	case o.CounterM < 0:
		return c, c.CounterPeriod(0)
	case o.CounterM > 0:
		return c, c.CounterPeriod(time.Duration(o.CounterM) * time.Millisecond)
	}
	return c, nil
}

// Close removes the card; once more is fine.
func (c *Card) Close() error {
	err := os.WriteFile(bus+"/del_device", []byte(strconv.FormatUint(uint64(c.opts.ID), 10)), 0o200)
	if pe := new(fs.PathError); errors.As(err, &pe) && strings.Contains(pe.Err.Error(), "no such device") {
		return nil
	}
	return err
}

// Names of the interfaces.

// Device is the devlink name, of bus "simnic".
func (c *Card) Device() string { return fmt.Sprintf("simnic%d", c.opts.ID) }

// Uplink is the n-th uplink's interface.
func (c *Card) Uplink(n uint) string { return fmt.Sprintf("sim%dp%d", c.opts.ID, n) }

// VF is the n-th VF's representor.
func (c *Card) VF(n uint) string { return fmt.Sprintf("sim%dpf0vf%d", c.opts.ID, n) }

// SF is the n-th SF's representor.
func (c *Card) SF(n uint) string { return fmt.Sprintf("sim%dpf0sf%d", c.opts.ID, n) }

// Far is what hangs behind a port, by the port's name at its making.
func (c *Card) Far(port string) string {
	switch {
	case strings.Contains(port, "vf"):
		return fmt.Sprintf("sim%dv%s", c.opts.ID, port[strings.Index(port, "vf")+2:])
	case strings.Contains(port, "sf"):
		return fmt.Sprintf("sim%ds%s", c.opts.ID, port[strings.Index(port, "sf")+2:])
	}
	return port + "w"
}

// Ports are the names of uplinks and representors at the card's making.
func (c *Card) Ports() []string {
	up, vf := max(c.opts.Uplinks, 1), c.opts.VFs
	if vf == 0 && !c.opts.NoVFs {
		vf = 2
	}
	var out []string
	for n := range up {
		out = append(out, c.Uplink(n))
	}
	for n := range vf {
		out = append(out, c.VF(n))
	}
	for n := range c.opts.SFs {
		out = append(out, c.SF(n))
	}
	return out
}

// Index is an interface's number, 0 when it is not there.
func Index(name string) int {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return 0
	}
	return i.Index
}

func (c *Card) path(file string) string { return filepath.Join(debugfs, c.Device(), file) }

func (c *Card) set(file, value string) error { return os.WriteFile(c.path(file), []byte(value), 0o200) }

// Faults.

// CounterPeriod is how often the card reads its counters for those who ask; 0 is
// at each question.
func (c *Card) CounterPeriod(d time.Duration) error {
	return c.set("counter_ms", strconv.FormatInt(d.Milliseconds(), 10))
}

// Full refuses every rule as a full table does.
func (c *Card) Full(on bool) error { return c.set("full", yesNo(on)) }

// RefuseNth refuses every n-th rule with EBUSY; 0 none.
func (c *Card) RefuseNth(n uint) error { return c.set("refuse_nth", fmt.Sprint(n)) }

// Slow makes each insertion take so long.
func (c *Card) Slow(d time.Duration) error { return c.set("insert_us", fmt.Sprint(d.Microseconds())) }

// Freeze makes counters stay what they were.
func (c *Card) Freeze(on bool) error { return c.set("freeze", yesNo(on)) }

// Forget drops n rules from the hardware while tc says in_hw.
func (c *Card) Forget(n uint) error { return c.set("forget", fmt.Sprint(n)) }

// Reset empties the hardware while tc says in_hw, and lets devlink tell of it.
func (c *Card) Reset() error { return c.set("reset", "1") }

// Flap takes a port's carrier away for a while.
func (c *Card) Flap(port string, d time.Duration) error {
	return c.set("flap", fmt.Sprintf("%s %d", port, d.Milliseconds()))
}

// Unplug removes a VF and its representor; Plug brings them back.
func (c *Card) Unplug(vf uint) error { return c.set("unplug", fmt.Sprint(vf)) }

// Plug brings a VF back, with new interfaces.
func (c *Card) Plug(vf uint) error { return c.set("plug", fmt.Sprint(vf)) }

func yesNo(b bool) string {
	if b {
		return "Y"
	}
	return "N"
}
