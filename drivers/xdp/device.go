package xdp

import (
	"errors"
	"log/slog"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"github.com/shunt-offload/shunt/hwif"
)

// Device is the emulated NIC over its ports. Its methods may run at the same time.
type Device struct {
	log    *slog.Logger
	mode   Mode // native or generic
	auto   bool // mode was chosen by us
	kernel kernel
	nl     *netlink.Handle // in the namespace of Open
	coll   *ebpf.Collection
	pins   *pins // nil without pinning
	watch  []link.Link
	caps   hwif.Caps

	mu       sync.Mutex // guards all below
	table    *table
	ports    map[hwif.Ifindex]*port
	away     []*port  // those that vanished
	names    []string // of the ports, as opened
	countBuf []bpfRuleCount
}

// Caps is what the table can hold and the pipeline can do.
func (d *Device) Caps() hwif.Caps { return d.caps }

func (d *Device) makeCaps(maxRules int) hwif.Caps {
	c := hwif.Caps{
		Driver:   driverName,
		Fields:   needFields | hwif.FieldsOf(hwif.FieldTCPFlags),
		MaxRules: maxRules,
		// One grace period serves the removes of one batch.
		Batch:      1024,
		Counters:   hwif.CountersFull,
		Guarded:    true,
		Persistent: d.pins != nil,
	}
	for _, row := range actionRows {
		c.Actions |= hwif.ActionsOf(row.kind)
	}
	c.Notes = append(c.Notes, "Forwarded frames are not seen by tcpdump, nftables and conntrack on this host.",
		"Frames with unfinished checksums are left to the kernel: on the peer of a veth run `ethtool -K <peer> tx off`.")
	if d.mode == ModeNative {
		c.Notes = append(c.Notes, "The program runs in native mode: a port's MTU can't exceed about 3.5 kB, and the peer of a veth sends without GSO.",
			"A veth takes redirected frames only if its peer has GRO or XDP on: `ethtool -K <peer> gro on`.",
			"A tag beside the frame is known on veth only; elsewhere run `ethtool -K <port> rxvlan off`.")
	} else {
		c.Notes = append(c.Notes, "The program runs in generic mode, after the sk_buff is made: slower than native.",
			"Frames merged by GRO are left to the kernel: run `ethtool -K <port> gro off`.",
			"Frames with a VLAN tag beside them are left to the kernel: run `ethtool -K <peer> txvlan off`, and on a card `ethtool -K <port> rxvlan off`.")
	}
	if d.pins == nil {
		c.Notes = append(c.Notes, "Rules end with the daemon; with the setting pin they outlive it.")
	}
	return c
}

// Close detaches the pipeline, unless it is pinned and flush is false: then it
// goes on forwarding without us.
func (d *Device) Close(flush bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.release(flush || d.pins == nil)
}

// release gives back whatever Open has taken so far.
func (d *Device) release(detach bool) error {
	var errs []error
	for _, p := range d.ports {
		if p.link == nil {
			continue
		}
		if detach && d.pins != nil {
			errs = append(errs, p.link.Unpin())
		}
		errs = append(errs, p.link.Close())
		p.link = nil
	}
	for _, l := range d.watch {
		if detach && d.pins != nil {
			errs = append(errs, l.Unpin())
		}
		errs = append(errs, l.Close())
	}
	d.watch = nil
	if d.pins != nil {
		errs = append(errs, d.pins.release(detach))
		d.pins = nil
	}
	if d.table != nil {
		errs = append(errs, d.table.close())
		d.table = nil
	}
	if d.coll != nil {
		d.coll.Close()
		d.coll = nil
	}
	if d.nl != nil {
		d.nl.Close()
		d.nl = nil
	}
	if err := errors.Join(errs...); err != nil {
		return fault("close", "", kindOf(err), err, "")
	}
	return nil
}
