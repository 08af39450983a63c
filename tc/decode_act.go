package tc

import "github.com/shunt-offload/shunt/hwif"

// reader reads the options of one kind of action; false when they are none of ours.
type reader struct {
	name string
	read func(d *decoder, opts []byte) bool
}

var readers = [...]reader{
	{"vlan", readVLAN}, {"pedit", readPedit}, {"csum", readCsum}, {"mirred", readMirred}, {"gact", readGact},
}

// actions reads TCA_FLOWER_ACT: an attribute per action, numbered in order.
func (d *decoder) actions(b []byte) {
	a := &d.f.Rule.Actions
	var cookie []byte
	ended := false
	for _, one := range attrs(b) {
		if !whole(one) {
			d.strange("a malformed action")
			continue
		}
		if ended {
			d.strange("an action behind the verdict")
		}
		d.action(one, &cookie)
		ended = a.Set&verdicts != 0
	}
	if len(cookie) == len(d.f.Rule.Cookie) {
		copy(d.f.Rule.Cookie[:], cookie)
	}
	if !ended {
		d.strange("no verdict")
	}
	// The action was left out where the card keeps checksums right by itself, and
	// where nothing that they cover was rewritten.
	if a.Set.Has(hwif.ActRedirect) && a.Set&pedits != 0 && (d.s.NoCsum || csumFlags(d.f) == 0) {
		a.Set |= hwif.ActionsOf(hwif.ActCsum)
	}
}

func (d *decoder) action(one []byte, cookie *[]byte) {
	var name, opts, stats []byte
	for typ, v := range attrs(one) {
		switch typ {
		case actKind:
			name = v
		case actOptions:
			opts = v
		case actStats:
			stats = v
		case actCookie:
			*cookie = v
		}
	}
	if c, ok := counter(stats); ok {
		d.f.Counter = c
	}
	for i := range readers {
		if string(trimmed(name)) == readers[i].name {
			if !whole(opts) || !readers[i].read(d, opts) {
				d.strange("action %s", readers[i].name)
			}
			return
		}
	}
	d.strange("action %q", cstring(name))
}

func trimmed(b []byte) []byte {
	for i, c := range b {
		if c == 0 {
			return b[:i]
		}
	}
	return b
}

// parms finds an action's parameters: they begin with struct tc_gen.
func parms(opts []byte, typ uint16, n int) (p []byte, next uint32, ok bool) {
	for t, v := range attrs(opts) {
		if t == typ && len(v) >= n {
			return v, ne.Uint32(v[8:]), true
		}
	}
	return nil, 0, false
}

func (d *decoder) did(k hwif.ActionKind) bool {
	if d.f.Rule.Actions.Set.Has(k) {
		return false // twice is not ours
	}
	d.f.Rule.Actions.Set |= hwif.ActionsOf(k)
	return true
}

func readGact(d *decoder, opts []byte) bool {
	_, next, ok := parms(opts, gactParms, sizeofGen)
	switch {
	case ok && next == actShot:
		return d.did(hwif.ActDrop)
	case ok && next == d.s.toKernel():
		return d.did(hwif.ActTrap)
	}
	return false
}

func readMirred(d *decoder, opts []byte) bool {
	p, next, ok := parms(opts, mirredParms, sizeofMirred)
	if !ok || next != actStolen || ne.Uint32(p[mirredAction:]) != egressRedir {
		return false
	}
	d.f.Rule.Actions.OutPort = hwif.Ifindex(ne.Uint32(p[mirredIfindex:]))
	return d.did(hwif.ActRedirect)
}

func readVLAN(d *decoder, opts []byte) bool {
	p, next, ok := parms(opts, vlanParms, sizeofVLAN)
	if !ok || next != actPipe {
		return false
	}
	switch ne.Uint32(p[sizeofGen:]) {
	case vlanPop:
		return d.did(hwif.ActVLANPop)
	case vlanPush:
		for typ, v := range attrs(opts) {
			switch {
			case typ == vlanPushID && len(v) == 2:
				d.f.Rule.Actions.VLAN = hwif.VLAN(ne.Uint16(v))
			case typ == vlanPushTPID:
				if x, ok := be16(v); !ok || x != etherVLAN {
					return false
				}
			case typ == vlanPushPrio:
				if len(v) != 1 || v[0] != 0 {
					return false
				}
			}
		}
		return d.f.Rule.Actions.VLAN != 0 && d.f.Rule.Actions.VLAN.Valid() && d.did(hwif.ActVLANPush)
	}
	return false
}

// readCsum wants exactly the checksums that the rewriting before it touches.
func readCsum(d *decoder, opts []byte) bool {
	p, next, ok := parms(opts, csumParms, sizeofCsum)
	if !ok || next != actPipe || ne.Uint32(p[sizeofGen:]) != csumFlags(d.f) {
		return false
	}
	return d.did(hwif.ActCsum)
}

// readPedit takes every word to the row of edits that writes it; each row must be
// had whole.
func readPedit(d *decoder, opts []byte) bool {
	p, next, ok := parms(opts, peditParmsEx, sizeofPeditSel)
	if !ok || next != actPipe {
		return false
	}
	n := int(p[sizeofGen])
	if len(p) < sizeofPeditSel+n*sizeofPeditKey {
		return false
	}
	p = p[sizeofPeditSel:]
	i := 0
	var got [len(edits)]uint8
	for typ, v := range attrs(opts) {
		if typ != peditKeysEx {
			continue
		}
		if !whole(v) {
			return false
		}
		for _, ex := range attrs(v) {
			if i >= n || !d.readWord(p[i*sizeofPeditKey:], ex, &got) {
				return false
			}
			i++
		}
	}
	if i != n || n == 0 {
		return false
	}
	for i := range edits {
		switch got[i] {
		case 0:
		case 1<<len(edits[i].words) - 1:
			if !d.did(edits[i].kind) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

func (d *decoder) readWord(key, ex []byte, got *[len(edits)]uint8) bool {
	var htype, cmd uint16
	for typ, v := range attrs(ex) {
		if len(v) != 2 {
			return false
		}
		switch typ {
		case peditExHtype:
			htype = ne.Uint16(v)
		case peditExCmd:
			cmd = ne.Uint16(v)
		}
	}
	keep, v, off := [4]byte(key[:4]), [4]byte(key[4:8]), ne.Uint32(key[8:])
	if ne.Uint32(key[12:])|ne.Uint32(key[16:])|ne.Uint32(key[20:]) != 0 {
		return false
	}
	m := &d.f.Rule.Match
	for i := range edits {
		e := &edits[i]
		if e.htype != htype || e.fam != 0 && e.fam != m.Family || e.proto != 0 && e.proto != m.Proto {
			continue
		}
		for k := range e.words {
			w := &e.words[k]
			if w.off != off || w.keep != keep || got[i]&(1<<k) != 0 {
				continue
			}
			if e.kind == hwif.ActDecTTL {
				if !d.isTTL(e, v, cmd) {
					return false
				}
			} else if cmd != peditSet {
				return false
			} else {
				for b := range v {
					if v[b]&keep[b] != 0 {
						return false
					}
				}
				w.put(&d.f.Rule.Actions, v)
			}
			got[i] |= 1 << k
			return true
		}
	}
	return false
}

// isTTL holds the written TTL against what the shape would have written.
func (d *decoder) isTTL(e *edit, v [4]byte, cmd uint16) bool {
	want, wantCmd := ttlWord(&d.f.Rule, d.s)
	at := 0
	if e.fam == hwif.IPv6 {
		at = 3
	}
	got := v[at]
	v[at] = 0
	return got == want && cmd == wantCmd && v == [4]byte{}
}
