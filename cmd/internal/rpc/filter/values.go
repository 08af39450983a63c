package filter

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/offload"
)

func number(s string, bits int) (uint64, *flaw) {
	n, err := strconv.ParseUint(s, 0, bits)
	if err != nil {
		return 0, &flaw{fmt.Sprintf("%q is no number from 0 to %d", s, uint64(1)<<bits-1), ""}
	}
	return n, nil
}

func parseProto(_ Env, s string) (test, *flaw) {
	for n := range 256 {
		if hwif.ProtoName(uint8(n)) == s {
			return func(v *offload.View) bool { return v.Entry.Orig.Proto == uint8(n) }, nil
		}
	}
	n, bad := number(s, 8)
	if bad != nil {
		bad = unknown(s, protoWords())
		bad.mend += " (or a number from 0 to 255)"
		return nil, bad
	}
	return func(v *offload.View) bool { return v.Entry.Orig.Proto == uint8(n) }, nil
}

// addrKey tests the addresses of one end or both. An end has two addresses
// when NAT rewrites it: that of the packets and that of their answers.
func addrKey(src, dst bool) func(Env, string) (test, *flaw) {
	return func(_ Env, s string) (test, *flaw) {
		want, bad := prefix(s)
		if bad != nil {
			return nil, bad
		}
		return func(v *offload.View) bool {
			o, r := &v.Entry.Orig, &v.Entry.Reply
			return src && (want.Contains(o.SrcAddr()) || want.Contains(r.DstAddr())) ||
				dst && (want.Contains(o.DstAddr()) || want.Contains(r.SrcAddr()))
		}, nil
	}
}

func prefix(s string) (netip.Prefix, *flaw) {
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, &flaw{fmt.Sprintf("%q is no address", s), "write 192.0.2.1, 10.0.0.0/8 or 2001:db8::/32"}
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, &flaw{fmt.Sprintf("%q is no prefix", s), "write 10.0.0.0/8 or 2001:db8::/32"}
	}
	if p != p.Masked() {
		return p, &flaw{fmt.Sprintf("%q has bits beyond its length", s), fmt.Sprintf("did you mean %q?", p.Masked())}
	}
	return p, nil
}

func portKey(src, dst bool) func(Env, string) (test, *flaw) {
	return func(_ Env, s string) (test, *flaw) {
		first, last, isRange := strings.Cut(s, "-")
		lo, bad := number(first, 16)
		hi := lo
		if bad == nil && isRange {
			hi, bad = number(last, 16)
		}
		switch {
		case bad != nil:
			return nil, &flaw{fmt.Sprintf("%q is no port or range", s), "write 443 or 8000-8999"}
		case lo > hi:
			return nil, &flaw{fmt.Sprintf("range %s is upside down", s), fmt.Sprintf("did you mean \"%d-%d\"?", hi, lo)}
		}
		in := func(p uint16) bool { return uint64(p) >= lo && uint64(p) <= hi }
		return func(v *offload.View) bool {
			o, r := &v.Entry.Orig, &v.Entry.Reply
			return src && (in(o.SrcPort) || in(r.DstPort)) || dst && (in(o.DstPort) || in(r.SrcPort))
		}, nil
	}
}

func parseZone(_ Env, s string) (test, *flaw) {
	n, bad := number(s, 16)
	return func(v *offload.View) bool {
		return v.Entry.Orig.Zone == uint16(n) || v.Entry.Reply.Zone == uint16(n)
	}, bad
}

func parseMark(_ Env, s string) (test, *flaw) {
	value, mask, masked := strings.Cut(s, "/")
	n, bad := number(value, 32)
	m := uint64(1)<<32 - 1
	if bad == nil && masked {
		m, bad = number(mask, 32)
	}
	switch {
	case bad != nil:
		return nil, bad
	case n&^m != 0:
		return nil, &flaw{fmt.Sprintf("%s can never match: the value has bits outside the mask", s),
			fmt.Sprintf("did you mean \"0x%x/0x%x\"?", n&m, m)}
	}
	return func(v *offload.View) bool { return v.Entry.Mark&uint32(m) == uint32(n) }, nil
}

func parseDevice(_ Env, s string) (test, *flaw) {
	n, bad := number(s, 8)
	return func(v *offload.View) bool {
		return v.Device == hwif.DeviceID(n) && (v.Rules[0] != offload.RuleNone || v.Rules[1] != offload.RuleNone)
	}, bad
}

func parseOwner(_ Env, s string) (test, *flaw) {
	return func(v *offload.View) bool { return v.Intent.Kind != offload.IntentNone && v.Intent.Owner == s }, nil
}

func parseUID(_ Env, s string) (test, *flaw) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return nil, &flaw{fmt.Sprintf("%q is no uid", s), "write a number as the listing shows it"}
	}
	return func(v *offload.View) bool { return v.UID == n }, nil
}

func routeKey(in, out bool) func(Env, string) (test, *flaw) {
	return func(env Env, s string) (test, *flaw) {
		var want hwif.Ifindex
		found := false
		if env.Port != nil {
			want, found = env.Port(s)
		}
		if !found {
			n, bad := number(s, 32)
			if bad != nil || n == 0 {
				return nil, &flaw{fmt.Sprintf("no device has a port %q", s), "`shuntctl devices` lists the ports; an interface number works too"}
			}
			want = hwif.Ifindex(n)
		}
		return func(v *offload.View) bool {
			return v.HasRoutes && (on(&v.Routes[flow.Orig], want, in, out) || on(&v.Routes[flow.Reply], want, in, out))
		}, nil
	}
}

func on(r *flow.Route, want hwif.Ifindex, in, out bool) bool {
	return in && r.In == want || out && r.Out == want
}
