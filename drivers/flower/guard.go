package flower

import (
	"context"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/tc"
)

// guardsPerPort is how many guardsOf gives.
const guardsPerPort = 4

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

// guard installs the guards that are not there, or not as they have to be. The
// error is the first refusal. The caller holds apply.
func (d *Device) guard(ctx context.Context, p *port, have map[hwif.Cookie]tc.Filter, anew bool) error {
	if !d.profile.Guards {
		return nil
	}
	var reqs []tc.Request
	for _, f := range d.guardsOf(p) {
		old, ok := have[f.Rule.Cookie]
		if ok && sameGuard(&old, f) && !anew {
			continue
		}
		if ok {
			reqs = append(reqs, tc.Request{Verb: tc.Delete, NoCounter: true, Filter: &old})
		}
		reqs = append(reqs, tc.Request{Verb: tc.New, Filter: f})
	}
	resps := make([]tc.Response, len(reqs))
	d.conn.Apply(ctx, &d.shape, reqs, resps)
	for i := range resps {
		if err := resps[i].Err; err != nil && (reqs[i].Verb == tc.New || !tc.Gone(err)) {
			return d.failed("install", p.Name, hwif.Cookie{}, err)
		}
	}
	return nil
}

// sameGuard reports whether a filter that was found is the guard that is wanted.
func sameGuard(found, want *tc.Filter) bool {
	return found.Place == want.Place && found.Rule == want.Rule && found.AnyTag == want.AnyTag &&
		len(found.Strange) == 0 && found.Presence() == hwif.InHW
}

// reguard puts back guards that somebody took away while flows rely on them.
func (d *Device) reguard(ctx context.Context, p *port) {
	d.apply.Lock()
	defer d.apply.Unlock()
	d.mu.Lock()
	gone := d.byIndex(p.Ifindex) != p || p.refused != "" // its name may have changed
	d.mu.Unlock()
	if gone {
		return // settled meanwhile
	}
	text := d.secure(ctx, p, false)
	d.log.Warn("guards for packets with TTL 1 were missing or wrong; put back", "port", p.Name, "err", text)
	if text != "" {
		d.mu.Lock()
		p.refused = text
		d.mu.Unlock()
		d.nudge()
	}
}
