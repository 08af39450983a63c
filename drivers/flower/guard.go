package flower

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/tc"
)

// guardsOf are the rules that give frames with TTL or hop limit 0 and 1 to the
// kernel, which answers them: one for each family, and for tagged frames, which a
// match on an ethertype does not see (mlx5/core/en_tc.c).
func (d *Device) guardsOf(p *port) []*tc.Filter {
	var out []*tc.Filter
	for _, fam := range []hwif.Family{hwif.IPv4, hwif.IPv6} {
		for _, tagged := range []bool{false, true} {
			n := uint8(len(out))
			out = append(out, &tc.Filter{
				Place: tc.Place{Ifindex: p.Ifindex, Prio: d.prio + prioGuard}, Handle: uint32(n) + 1, AnyTag: tagged,
				Rule: hwif.Rule{Cookie: roleCookie(roleGuard, n),
					Match: hwif.Match{Fields: hwif.FieldsOf(hwif.FieldInPort, hwif.FieldVLAN, hwif.FieldEthType, hwif.FieldTTL),
						InPort: p.Ifindex, Family: fam, TTLMask: 0xfe},
					Actions: hwif.Actions{Set: hwif.ActionsOf(hwif.ActTrap)}},
			})
		}
	}
	return out
}

// guard installs the guards that are not there. It gives why it could not, or "".
func (d *Device) guard(ctx context.Context, p *port, have map[hwif.Cookie]bool) string {
	if !d.profile.Guards {
		return ""
	}
	var reqs []tc.Request
	for _, f := range d.guardsOf(p) {
		if !have[f.Rule.Cookie] {
			reqs = append(reqs, tc.Request{Verb: tc.New, Filter: f})
		}
	}
	resps := make([]tc.Response, len(reqs))
	d.conn.Apply(ctx, &d.shape, reqs, resps)
	for i := range resps {
		if err := resps[i].Err; err != nil && !errors.Is(err, unix.EEXIST) {
			return "no guard for packets with TTL 1, without which nothing may be forwarded: " + d.failed("install", p.Name, hwif.Cookie{}, err).Error()
		}
	}
	return ""
}
