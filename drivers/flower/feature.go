package flower

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev"
	"github.com/shunt-offload/shunt/tc"
)

// feature is one thing that a card may take or refuse, and the rule that asks.
type feature struct {
	name    string
	fields  hwif.FieldSet  // beyond a plain 5-tuple; taken out of Caps when refused
	actions hwif.ActionSet // taken out of Caps when refused
	fam     hwif.Family
	proto   uint8
	inVLAN  hwif.VLAN
}

const dropped = hwif.ActionSet(1 << hwif.ActDrop)

var (
	redirect = hwif.ActionsOf(hwif.ActRedirect)
	srcNAT   = hwif.ActionsOf(hwif.ActIPSrc, hwif.ActL4Src)
	dstNAT   = hwif.ActionsOf(hwif.ActIPDst, hwif.ActL4Dst)
)

// features is the matrix of a probe, from the plain to the rare.
var features = [...]feature{
	{"drop", 0, dropped, hwif.IPv4, hwif.ProtoTCP, 0},
	{"redirect", 0, redirect, hwif.IPv4, hwif.ProtoUDP, 0},
	{"trap", 0, hwif.ActionsOf(hwif.ActTrap), hwif.IPv4, hwif.ProtoUDP, 0},
	{"match dst_mac", hwif.FieldsOf(hwif.FieldEthDst), redirect, hwif.IPv4, hwif.ProtoUDP, 0},
	{"match tcp_flags", hwif.FieldsOf(hwif.FieldTCPFlags), redirect, hwif.IPv4, hwif.ProtoTCP, 0},
	{"match ip_flags nofrag", hwif.FieldsOf(hwif.FieldNotFrag), redirect, hwif.IPv4, hwif.ProtoUDP, 0},
	{"match ip_ttl", hwif.FieldsOf(hwif.FieldTTL), redirect, hwif.IPv4, hwif.ProtoUDP, 0},
	{"match vlan_id", hwif.FieldsOf(hwif.FieldVLAN), redirect, hwif.IPv4, hwif.ProtoUDP, 4001},
	{"routed ipv4", hwif.RoutedFlow, hwif.Routed, hwif.IPv4, hwif.ProtoUDP, 0},
	{"routed ipv6", hwif.RoutedFlow, hwif.Routed, hwif.IPv6, hwif.ProtoUDP, 0},
	{"snat ipv4", hwif.RoutedFlow, hwif.Routed | srcNAT, hwif.IPv4, hwif.ProtoTCP, 0},
	{"dnat ipv4", hwif.RoutedFlow, hwif.Routed | dstNAT, hwif.IPv4, hwif.ProtoTCP, 0},
	{"snat and dnat ipv4", hwif.RoutedFlow, hwif.Routed | srcNAT | dstNAT, hwif.IPv4, hwif.ProtoUDP, 0},
	{"snat ipv6", hwif.RoutedFlow, hwif.Routed | srcNAT, hwif.IPv6, hwif.ProtoTCP, 0},
	{"snat and dnat ipv6", hwif.RoutedFlow, hwif.Routed | srcNAT | dstNAT, hwif.IPv6, hwif.ProtoTCP, 0},
	{"vlan pop", hwif.RoutedFlow, hwif.Routed | hwif.ActionsOf(hwif.ActVLANPop), hwif.IPv4, hwif.ProtoUDP, 4001},
	{"vlan push", hwif.RoutedFlow, hwif.Routed | hwif.ActionsOf(hwif.ActVLANPush), hwif.IPv4, hwif.ProtoUDP, 0},
	{"vlan pop and push", hwif.RoutedFlow, hwif.Routed | Tags, hwif.IPv4, hwif.ProtoUDP, 4001},
}

// rule is one that no frame matches.
func (f *feature) rule(in, out hwif.Ifindex, caps *hwif.Caps) hwif.Rule {
	m := hwif.Match{InPort: in, EthDst: nobody, VLAN: f.inVLAN, Family: f.fam, Proto: f.proto, SrcPort: 9, DstPort: 9,
		Fields: f.fields | hwif.FieldsOf(hwif.FieldInPort, hwif.FieldVLAN, hwif.FieldEthType, hwif.FieldIPProto,
			hwif.FieldIPSrc, hwif.FieldIPDst, hwif.FieldL4Src, hwif.FieldL4Dst)}
	m.Src, m.Dst = nowhereA, nowhereB
	natA, natB := nowhereB, nowhereA
	if f.fam == hwif.IPv6 { // documentation addresses: nobody's
		src := netip.MustParseAddr("2001:db8:dead::").As16()
		binary.BigEndian.PutUint32(src[12:], lot+2)
		m.Src, _ = hwif.AddrFrom(netip.AddrFrom16(src))
		m.Dst, _ = hwif.AddrFrom(netip.MustParseAddr("2001:db8:dead::2"))
		natA, natB = m.Dst, m.Src
	}
	if f.proto == hwif.ProtoTCP && f.actions&hwif.ActionsOf(hwif.ActDecTTL) != 0 && caps.Fields.Has(hwif.FieldTCPFlags) {
		m.Fields |= hwif.FieldsOf(hwif.FieldTCPFlags)
	}
	if m.Fields.Has(hwif.FieldTCPFlags) {
		m.TCPFlags, m.TCPFlagsMask = hwif.TCPAck, hwif.TCPFin|hwif.TCPSyn|hwif.TCPRst|hwif.TCPAck
	}
	if !m.Fields.Has(hwif.FieldEthDst) {
		m.EthDst = hwif.MAC{}
	}
	if caps.ExactTTL && f.actions.Has(hwif.ActDecTTL) {
		m.Fields |= hwif.FieldsOf(hwif.FieldTTL)
	}
	if m.Fields.Has(hwif.FieldTTL) {
		m.TTL, m.TTLMask = 64, 0xff
	}
	a := hwif.Actions{Set: f.actions}
	if a.Set.Has(hwif.ActRedirect) {
		a.OutPort = out
	}
	if a.Set.Has(hwif.ActEthSrc) {
		a.EthSrc, a.EthDst = nobody, someone
	}
	if a.Set.Has(hwif.ActIPSrc) {
		a.IPSrc, a.SrcPort = natA, 7
	}
	if a.Set.Has(hwif.ActIPDst) {
		a.IPDst, a.DstPort = natB, 7
	}
	if a.Set.Has(hwif.ActVLANPush) {
		a.VLAN = 4002
	}
	return hwif.Rule{Cookie: roleCookie(roleProbe, 0), Match: m, Actions: a}
}

// prove takes out of Caps what the card refuses on the first pair that it joins.
// Only start calls it, before anybody has seen Caps.
func (d *Device) prove(ctx context.Context) {
	d.apply.Lock()
	defer d.apply.Unlock()
	for _, in := range d.snapshot() {
		if len(in.joins) == 0 {
			continue
		}
		out := in.joins[0]
		for i := range features {
			f := &features[i]
			err := d.probe(ctx, f.rule(in.Ifindex, out, &d.caps))
			if err == nil {
				continue
			}
			d.log.Info("the card refuses", "feature", f.name, "err", err)
			d.caps.Fields &^= f.fields &^ hwif.RoutedFlow
			if basic := f.actions &^ hwif.Routed; basic != 0 {
				d.caps.Actions &^= basic
			} else if f.name == "routed ipv4" {
				d.caps.Actions &^= hwif.Routed &^ redirect
			}
		}
		return
	}
	d.caps.Notes = append(d.caps.Notes, "no pair of ports is joined by the card, so nothing could be proved")
}

// Finding is one cell of a probe's matrix.
type Finding struct {
	Feature string
	In, Out string // names of ports; Out is empty for what forwards nothing
	// Err is nil when the card took the rule, else what kernel and card said.
	Err error
	// Claimed tells whether the driver thinks that the card can.
	Claimed bool
}

// Probe asks the card for every feature between every pair of ports, with rules
// that no frame matches and that are taken out at once, at a prio of their own. It
// needs no daemon, and disturbs none that runs.
func (d *Driver) Probe(ctx context.Context, opts hwif.OpenOptions) ([]Finding, error) {
	set, err := d.parse(opts)
	if err != nil {
		return nil, err
	}
	inv, err := switchdev.Read(ctx)
	if err != nil {
		return nil, d.wrap("look for cards", err)
	}
	c, err := d.find(inv, opts.Ports)
	if err != nil {
		return nil, err
	}
	conn, err := tc.Open()
	if err != nil {
		return nil, d.wrap("open", err)
	}
	out, err := d.matrix(ctx, conn, c, set)
	return out, errors.Join(err, conn.Close())
}

func (d *Driver) matrix(ctx context.Context, conn kernel, c *card, set settings) (out []Finding, err error) {
	caps, shape := d.Profile.Caps(c.mode), d.Profile.Shape(c.mode)
	for i := range c.ports {
		made, aerr := conn.AddClsact(c.ports[i].Ifindex, 0)
		if aerr != nil {
			return nil, d.wrap("probe "+c.ports[i].Name, aerr)
		}
		if made {
			defer func() { err = errors.Join(err, unhang(context.WithoutCancel(ctx), conn, c.ports[i].Ifindex)) }()
		}
	}
	for i := range features {
		f := &features[i]
		for k := range c.ports {
			for l := range c.ports {
				in, to := &c.ports[k], &c.ports[l]
				forwards := f.actions.Has(hwif.ActRedirect)
				if !forwards && k != l || forwards && k == l && (len(c.ports) > 1 && f.inVLAN == 0 || !f.actions.Has(hwif.ActVLANPush)) {
					continue
				}
				if err := ctx.Err(); err != nil {
					return out, err
				}
				r := f.rule(in.Ifindex, to.Ifindex, &caps)
				find := Finding{Feature: f.name, In: in.Name, Claimed: caps.Check(&hwif.Rule{Cookie: hwif.NewCookie(1, 0), Match: r.Match, Actions: r.Actions}) == nil}
				if forwards {
					find.Out = to.Name
					find.Claimed = find.Claimed && d.Profile.Joins(c.mode, in, to) == ""
				}
				find.Err = probe(ctx, conn, &shape, set.prio, r)
				out = append(out, find)
			}
		}
	}
	return out, nil
}
