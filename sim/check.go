package sim

import (
	"fmt"

	"github.com/shunt-offload/shunt/hwif"
)

// check refuses a rule that the pipeline cannot carry out to the letter.
func (n *NIC) check(r *hwif.Rule) error {
	if err := n.caps.Check(r); err != nil {
		return err
	}
	// What no row knows must not vanish in silence.
	if rest := r.Match.Fields &^ hwif.FieldsOf(hwif.Fields()...); rest != 0 {
		return n.refuse(r, fmt.Sprintf("field bits 0x%x", uint32(rest)), "unknown")
	}
	if rest := r.Actions.Set &^ hwif.ActionsOf(hwif.ActionKinds()...); rest != 0 {
		return n.refuse(r, fmt.Sprintf("action bits 0x%x", uint32(rest)), "unknown")
	}
	if field, text := impossible(r); field != "" {
		return n.refuse(r, field, text)
	}
	if _, ok := n.port(r.Match.InPort); !ok {
		return n.noPort(r, r.Match.InPort)
	}
	if r.Actions.Set.Has(hwif.ActRedirect) {
		if _, ok := n.port(r.Actions.OutPort); !ok {
			return n.noPort(r, r.Actions.OutPort)
		}
	}
	return nil
}

// impossible names an action whose header the match does not promise, or gives
// "": a pipeline that rewrites ports of what may be a fragment breaks data.
func impossible(r *hwif.Rule) (field, text string) {
	f, a := r.Match.Fields, r.Actions.Set
	l3 := f.Has(hwif.FieldEthType) || f.Has(hwif.FieldIPSrc) || f.Has(hwif.FieldIPDst)
	l4 := f.Has(hwif.FieldL4Src) || f.Has(hwif.FieldL4Dst)
	for _, k := range []hwif.ActionKind{hwif.ActDecTTL, hwif.ActIPSrc, hwif.ActIPDst} {
		if a.Has(k) && !l3 {
			return k.String(), "the match has no eth_type"
		}
	}
	for _, k := range []hwif.ActionKind{hwif.ActL4Src, hwif.ActL4Dst} {
		if a.Has(k) && !l4 {
			return k.String(), "the match has no L4 port"
		}
	}
	if a.Has(hwif.ActVLANPop) && !f.Has(hwif.FieldVLAN) {
		return hwif.ActVLANPop.String(), "the match has no vlan_id"
	}
	return "", ""
}

func (n *NIC) refuse(r *hwif.Rule, field, text string) error {
	return &hwif.Error{Op: "install", Device: n.name, Cookie: r.Cookie, Kind: hwif.KindUnsupported, Field: field, Text: text}
}

func (n *NIC) noPort(r *hwif.Rule, port hwif.Ifindex) error {
	return &hwif.Error{Op: "install", Device: n.name, Port: fmt.Sprintf("port %d", port), Cookie: r.Cookie,
		Kind: hwif.KindGone, Text: "the card has no such port"}
}

func (n *NIC) fail(op string, r *hwif.Rule, k hwif.Kind, text string) error {
	return &hwif.Error{Op: op, Device: n.name, Cookie: r.Cookie, Kind: k, Text: text}
}
