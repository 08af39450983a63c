package rtnl

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

// Policy is one XFRM policy that changes or blocks packets.
type Policy struct {
	Src, Dst netip.Prefix
	Family   hwif.Family
	Proto    uint8 // 0 for any
	Dir      uint8 // XFRM_POLICY_IN 0, OUT 1, FWD 2
	Block    bool  // drops what it covers
	Tmpls    bool  // transforms what it covers
}

// Numbers of include/uapi/linux/xfrm.h that x/sys/unix lacks.
const (
	xfrmMsgNewPolicy   = 0x13
	xfrmMsgGetPolicy   = 0x15
	xfrmMsgGetDefault  = 0x28
	xfrmGroupPolicy    = 4 // XFRMNLGRP_POLICY
	xfrmaTmpl          = 5
	xfrmSelectorLen    = 56
	xfrmPolicyInfoLen  = 168
	xfrmPolicyIndexOff = xfrmSelectorLen + 64 + 32 + 4 // selector, lifetime config, lifetime now, priority
	xfrmDirOff         = xfrmPolicyIndexOff + 4
	xfrmBlock          = 1 // XFRM_POLICY_BLOCK, and XFRM_USERPOLICY_BLOCK
)

// ParsePolicy reads a struct xfrm_userpolicy_info and its attributes.
func ParsePolicy(b []byte) (p Policy, ok bool) {
	if len(b) < xfrmPolicyInfoLen {
		return p, false
	}
	// struct xfrm_selector: daddr 16, saddr 16, dport 2+2, sport 2+2, family 2, prefixlen_d, prefixlen_s, proto
	af, dl, sl := ne.Uint16(b[40:]), int(b[42]), int(b[43])
	p.Family, p.Proto = family(byte(af)), b[44]
	if p.Family != hwif.FamilyNone {
		p.Dst = netip.PrefixFrom(addr(p.Family, b).Netip(p.Family), dl).Masked()
		p.Src = netip.PrefixFrom(addr(p.Family, b[16:]).Netip(p.Family), sl).Masked()
		if !p.Dst.IsValid() || !p.Src.IsValid() {
			return p, false
		}
	}
	p.Dir = b[xfrmDirOff]
	p.Block = b[xfrmDirOff+1] == xfrmBlock
	for typ, v := range attrs(b[xfrmPolicyInfoLen:]) {
		if typ == xfrmaTmpl && len(v) > 0 {
			p.Tmpls = true
		}
	}
	return p, true
}

// Covers reports whether the policy may apply to a packet. Ports and interfaces
// are not compared: a policy that names them counts as covering all of them.
func (p *Policy) Covers(f hwif.Family, proto uint8, src, dst netip.Addr) bool {
	switch {
	case !p.Block && !p.Tmpls, p.Proto != 0 && p.Proto != proto:
		return false
	case p.Family == hwif.FamilyNone:
		return true
	}
	return p.Family == f && p.Src.Contains(src) && p.Dst.Contains(dst)
}

// parseDefault reads a struct xfrm_userpolicy_default and reports whether
// packets without a policy are blocked when forwarded or sent.
func parseDefault(b []byte) bool {
	return len(b) >= 3 && (b[1] == xfrmBlock || b[2] == xfrmBlock)
}

const netlinkXFRM = unix.NETLINK_XFRM
