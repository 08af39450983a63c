package xdp

import (
	"fmt"

	"github.com/shunt-offload/shunt/hwif"
)

// A finding counts when at least lookMin frames since the last look, and one in
// lookShare, have it. A finished checksum looks unfinished once in 65536 frames
// by chance; that is far below.
const (
	lookMin   = 8
	lookShare = 8
)

// look judges the frames that entered by p since the last look. Without enough of
// them the last word stands.
func (d *Device) look(p *port) (string, error) {
	now, err := d.sums(p)
	if err != nil {
		return "", err
	}
	frames := now.Frames - p.last.Frames
	if frames < lookMin {
		return p.bad, nil
	}
	much := func(now, before uint64) bool {
		n := now - before
		return n >= lookMin && n*lookShare >= frames
	}
	switch {
	case much(now.Blind, p.last.Blind):
		p.bad = fmt.Sprintf("the kernel tells nothing about the frames of %s beyond their bytes; use mode native", p.name)
	case much(now.Unfinished, p.last.Unfinished):
		p.bad = fmt.Sprintf("frames arrive at %s with unfinished checksums; run: ethtool -K %s tx off", p.name, d.peerName(p))
	case much(now.Merged, p.last.Merged):
		p.bad = fmt.Sprintf("frames arrive at %s merged by GRO; run: ethtool -K %s gro off", p.name, p.name)
	case d.mode == ModeGeneric && much(now.Tagged, p.last.Tagged):
		if p.veth {
			p.bad = fmt.Sprintf("frames arrive at %s with their VLAN tag beside them; run: ethtool -K %s txvlan off", p.name, d.peerName(p))
		} else {
			p.bad = fmt.Sprintf("frames arrive at %s with their VLAN tag beside them; run: ethtool -K %s rxvlan off", p.name, p.name)
		}
	default:
		p.bad = ""
	}
	p.last = now
	return p.bad, nil
}

// sums adds what all CPUs have seen at p.
func (d *Device) sums(p *port) (bpfPortSeen, error) {
	var cpus []bpfPortSeen
	var sum bpfPortSeen
	if err := d.coll.Maps[bpfMapSeen].Lookup(p.slot, &cpus); err != nil {
		return sum, fault("list", p.name, hwif.KindOther, err, "reading what entered")
	}
	for _, c := range cpus {
		sum.Frames += c.Frames
		sum.Unfinished += c.Unfinished
		sum.Likely += c.Likely
		sum.Tagged += c.Tagged
		sum.Merged += c.Merged
		sum.Blind += c.Blind
	}
	return sum, nil
}
