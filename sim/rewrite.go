package sim

import (
	"encoding/binary"

	"github.com/shunt-offload/shunt/hwif"
)

// rewrite gives the frame as it leaves: a copy without padding, with the actions
// done in their order. Without ActCsum, checksums are left as they came, as tc's
// pedit leaves them.
func rewrite(b []byte, h *header, a *hwif.Actions) []byte {
	push := 0
	if a.Set.Has(hwif.ActVLANPush) {
		push = 4
	}
	keep := h.l3 // of the Ethernet header and tag
	if a.Set.Has(hwif.ActVLANPop) && h.tags == 1 {
		keep -= 4
	}
	out := make([]byte, keep+push+h.len)
	copy(out, b[:12])
	if push != 0 {
		binary.BigEndian.PutUint16(out[12:], tpid8021Q)
		binary.BigEndian.PutUint16(out[14:], uint16(a.VLAN))
	}
	copy(out[12+push:], b[h.l3-(keep-12):h.l3+h.len])
	if a.Set.Has(hwif.ActEthDst) {
		copy(out[:6], a.EthDst[:])
	}
	if a.Set.Has(hwif.ActEthSrc) {
		copy(out[6:12], a.EthSrc[:])
	}
	ip := out[keep+push:]
	edit := editor{ip: ip, l4: ip[h.l4-h.l3:], fix: a.Set.Has(hwif.ActCsum), v4: h.match.Family == hwif.IPv4}
	edit.l4sum = edit.findL4Sum(h)
	edit.run(a)
	return out
}

// editor changes one IP packet and keeps its checksums true to the change.
type editor struct {
	ip, l4 []byte
	l4sum  []byte // the L4 checksum, nil when there is none to keep
	fix    bool
	v4     bool
}

// findL4Sum is where the L4 checksum stands. A UDP checksum of zero was never
// computed and stays zero (RFC 768; over IPv6, RFC 6935).
func (e *editor) findL4Sum(h *header) []byte {
	switch {
	case !e.fix || !h.ports:
		return nil
	case h.match.Proto == hwif.ProtoTCP:
		return e.l4[16:18]
	}
	if sum := e.l4[6:8]; sum[0]|sum[1] != 0 {
		return sum
	}
	return nil
}

func (e *editor) run(a *hwif.Actions) {
	var src, dst []byte
	ttl := 7
	if e.v4 {
		src, dst, ttl = e.ip[12:16], e.ip[16:20], 8
	} else {
		src, dst = e.ip[8:24], e.ip[24:40]
	}
	if a.Set.Has(hwif.ActDecTTL) {
		word := e.ip[ttl&^1:][:2]
		new := [2]byte(word)
		new[ttl&1]--
		e.header(word, new[:])
		copy(word, new[:])
	}
	if a.Set.Has(hwif.ActIPSrc) {
		e.address(src, a.IPSrc[:len(src)])
	}
	if a.Set.Has(hwif.ActIPDst) {
		e.address(dst, a.IPDst[:len(dst)])
	}
	if a.Set.Has(hwif.ActL4Src) {
		e.port(e.l4[0:2], a.SrcPort)
	}
	if a.Set.Has(hwif.ActL4Dst) {
		e.port(e.l4[2:4], a.DstPort)
	}
	// A UDP checksum that comes out as zero is sent as 0xffff.
	if e.l4sum != nil && e.l4sum[0]|e.l4sum[1] == 0 && len(e.l4) >= 8 && &e.l4sum[0] == &e.l4[6] {
		e.l4sum[0], e.l4sum[1] = 0xff, 0xff
	}
}

// header accounts for a change in the IP header's own words.
func (e *editor) header(old, new []byte) {
	if e.v4 && e.fix {
		update(e.ip[10:12], old, new)
	}
}

func (e *editor) address(at, new []byte) {
	e.header(at, new)
	if e.l4sum != nil {
		update(e.l4sum, at, new) // the pseudo header has the address too
	}
	copy(at, new)
}

func (e *editor) port(at []byte, port uint16) {
	var new [2]byte
	binary.BigEndian.PutUint16(new[:], port)
	if e.l4sum != nil {
		update(e.l4sum, at, new[:])
	}
	copy(at, new[:])
}

// update rewrites the checksum at sum for bytes that change from old to new.
func update(sum, old, new []byte) {
	c := checksum(binary.BigEndian.Uint16(sum)).replaceBytes(old, new)
	binary.BigEndian.PutUint16(sum, uint16(c))
}
