package flower

import (
	"context"
	"math/rand/v2"
	"net/netip"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/tc"
)

// join finds for each port where the card can send what enters there: what the
// profile does not rule out is probed. The caller holds apply.
func (d *Device) join(ctx context.Context) {
	ports := d.snapshot()
	for _, in := range ports {
		joins := []hwif.Ifindex{}
		for _, out := range ports {
			if in.refused != "" || out.refused != "" {
				continue
			}
			if text := d.profile.Joins(d.mode, &in.Port, &out.Port); text != "" {
				d.log.Debug("ports do not join", "in", in.Name, "out", out.Name, "text", text)
				continue
			}
			if err := d.probe(ctx, joinRule(d, in, out)); err != nil {
				d.log.Info("ports do not join", "in", in.Name, "out", out.Name, "err", err)
				continue
			}
			joins = append(joins, out.Ifindex)
		}
		d.mu.Lock()
		in.joins = joins
		d.mu.Unlock()
	}
}

// lot is this process's own number: it is in the match and the handle of its
// probes, so that another's at the same time and pref are other filters.
var lot = rand.Uint32N(1<<24-2) + 1

// Addresses that no packet has: class E, and a MAC of nobody's.
var (
	nowhereA, _ = hwif.AddrFrom(netip.AddrFrom4([4]byte{240, byte(lot >> 16), byte(lot >> 8), byte(lot)}))
	nowhereB, _ = hwif.AddrFrom(netip.MustParseAddr("240.0.0.2"))
	nobody      = hwif.MAC{0x02, 's', 'h', 'n', 't', 0x00}
	someone     = hwif.MAC{0x02, 's', 'h', 'n', 't', 0x01}
)

// joinRule is a rule that no frame matches: what a flow from in to out would have,
// or a plain redirect on a card that does no more. From a port to itself it is
// between two VLANs.
func joinRule(d *Device, in, out *port) hwif.Rule {
	m := hwif.Match{Fields: hwif.RoutedFlow, InPort: in.Ifindex, EthDst: nobody, Family: hwif.IPv4, Proto: hwif.ProtoUDP,
		Src: nowhereA, Dst: nowhereB, SrcPort: 9, DstPort: 9}
	a := hwif.Actions{Set: hwif.Routed, EthSrc: nobody, EthDst: someone, OutPort: out.Ifindex}
	if in.Ifindex == out.Ifindex {
		m.VLAN, a.VLAN = 4001, 4002
		a.Set |= Tags
	}
	if d.caps.ExactTTL {
		m.Fields |= hwif.FieldsOf(hwif.FieldTTL)
		m.TTL, m.TTLMask = 64, 0xff
	}
	if a.Set&^d.caps.Actions != 0 {
		a = hwif.Actions{Set: hwif.ActionsOf(hwif.ActRedirect), OutPort: out.Ifindex}
	}
	m.Fields &= d.caps.Fields
	if !m.Fields.Has(hwif.FieldTTL) {
		m.TTL, m.TTLMask = 0, 0
	}
	return hwif.Rule{Cookie: roleCookie(roleProbe, 0), Match: m, Actions: a}
}

// probe installs a rule at our probes' prio and takes it out again. The error is
// the card's no, in hwif's words.
func (d *Device) probe(ctx context.Context, r hwif.Rule) error {
	return probe(ctx, d.conn, &d.shape, d.prio, r)
}

// probe puts a rule in and takes it out, whatever becomes of ctx meanwhile.
func probe(ctx context.Context, conn kernel, s *tc.Shape, prio uint16, r hwif.Rule) error {
	f := &tc.Filter{Place: tc.Place{Ifindex: r.Match.InPort, Prio: prio + prioProbe + family(s, &r)}, Handle: lot, Rule: r}
	reqs, resps := [1]tc.Request{{Verb: tc.New, Filter: f}}, [1]tc.Response{}
	conn.Apply(ctx, s, reqs[:], resps[:])
	if resps[0].Err != nil {
		return resps[0].Err // what stands there, should something, is not ours to take
	}
	reqs[0].Verb = tc.Delete
	conn.Apply(context.WithoutCancel(ctx), s, reqs[:], resps[:])
	if err := resps[0].Err; err != nil && !tc.Gone(err) {
		return err
	}
	return nil
}

// family numbers the classifiers of a shape that has one for each protocol.
func family(s *tc.Shape, r *hwif.Rule) uint16 {
	switch {
	case !s.Ethertype:
		return 0
	case r.Match.VLAN != 0:
		return 2
	case r.Match.Family == hwif.IPv6:
		return 1
	}
	return 0
}
