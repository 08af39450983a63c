package xdp

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

// probeEtherType is IEEE 802's "local experimental 1": no host acts on it.
const probeEtherType = 0x88b5

// probeAll sends one frame by each port. A port that loses it is blocked; in mode
// auto that is a reason for generic mode, where frames leave by the ordinary way.
func (d *Device) probeAll() error {
	if d.mode == ModeGeneric {
		return nil
	}
	for _, i := range slices.Sorted(maps.Keys(d.ports)) {
		p := d.ports[i]
		text, err := d.probe(p)
		if err != nil {
			return openFault(p.name, err, "sending a probe frame")
		}
		if text != "" && d.auto {
			return fault("open", p.name, hwif.KindUnsupported, nil, text)
		}
	}
	return nil
}

// probe sends one frame out of p as redirected frames go, and unblocks the port
// if it left. Otherwise it says what mends the port. The frame is from the port's
// MAC to the same, so that no switch carries it on.
func (d *Device) probe(p *port) (string, error) {
	egresses := d.coll.Maps[bpfMapEgresses]
	var before, after bpfEgress
	if err := egresses.Lookup(p.slot, &before); err != nil {
		return "", fmt.Errorf("read egress state: %w", err)
	}
	if err := d.coll.Variables[bpfVarProbeSlot].Set(p.slot); err != nil {
		return "", fmt.Errorf("set %s: %w", bpfVarProbeSlot, err)
	}
	frame := make([]byte, 60)
	copy(frame[0:], p.mac[:])
	copy(frame[6:], p.mac[:])
	frame[12], frame[13] = probeEtherType>>8, probeEtherType&0xff
	_, err := d.coll.Programs[bpfProgProbe].Run(&ebpf.RunOptions{Data: frame, Repeat: 1, BatchSize: 1, Flags: unix.BPF_F_TEST_XDP_LIVE_FRAMES})
	if err != nil {
		return "", fmt.Errorf("run probe: %w", err)
	}
	if err := egresses.Lookup(p.slot, &after); err != nil {
		return "", fmt.Errorf("read egress state: %w", err)
	}
	if after.Sent > before.Sent {
		return "", d.setBlocked(p, 0)
	}
	if err := d.setBlocked(p, 1); err != nil {
		return "", err
	}
	return d.lostText(p, after.Error), nil
}

// setBlocked keeps what the watches count: losses between read and write may go
// uncounted, which blocked makes up for.
func (d *Device) setBlocked(p *port, to uint32) error {
	var e bpfEgress
	egresses := d.coll.Maps[bpfMapEgresses]
	if err := egresses.Lookup(p.slot, &e); err != nil {
		return fmt.Errorf("read egress state: %w", err)
	}
	if e.Blocked == to {
		return nil
	}
	e.Blocked = to
	if err := egresses.Put(p.slot, e); err != nil {
		return fmt.Errorf("write egress state: %w", err)
	}
	return nil
}

// lostText says why frames redirected to p come to nothing, and what mends it.
func (d *Device) lostText(p *port, errno int64) string {
	switch {
	case p.veth:
		return fmt.Sprintf("frames redirected to %s are lost: its peer has neither GRO nor XDP; run: ethtool -K %s gro on", p.name, d.peerName(p))
	case errno < 0:
		return fmt.Sprintf("frames redirected to %s are lost (%v); use mode generic", p.name, unix.Errno(-errno))
	}
	return fmt.Sprintf("frames redirected to %s are lost: its driver can't send for XDP; use mode generic", p.name)
}
