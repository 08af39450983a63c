package tc

import "github.com/shunt-offload/shunt/hwif"

// act is one row of the action table: a tc action and the kinds that it carries
// out. Rows are written in this order, which is the order in which they run.
type act struct {
	name  string // TCA_ACT_KIND
	kinds hwif.ActionSet
	write func(b []byte, f *Filter, s *Shape) []byte // the options
	why   func(f *Filter, s *Shape) (hwif.ActionKind, string)
}

// pedits are the kinds that one pedit action carries out together.
var pedits = hwif.ActionsOf(hwif.ActEthSrc, hwif.ActEthDst, hwif.ActDecTTL, hwif.ActIPSrc, hwif.ActIPDst, hwif.ActL4Src, hwif.ActL4Dst)

// acts is the action table; each hwif.ActionKind is in one row.
var acts = [...]act{
	{"vlan", hwif.ActionsOf(hwif.ActVLANPop), writePop, whyPop},
	{"pedit", pedits, writePedit, whyPedit},
	{"csum", hwif.ActionsOf(hwif.ActCsum), writeCsum, whyCsum},
	{"vlan", hwif.ActionsOf(hwif.ActVLANPush), writePush, nil},
	{"mirred", hwif.ActionsOf(hwif.ActRedirect), writeMirred, nil},
	{"gact", hwif.ActionsOf(hwif.ActDrop), writeDrop, whyAlone},
	{"gact", hwif.ActionsOf(hwif.ActTrap), writeTrap, whyAlone},
}

// verdicts end a rule; the cookie stands on them.
var verdicts = hwif.ActionsOf(hwif.ActRedirect, hwif.ActDrop, hwif.ActTrap)

// Fields is what the match table can write.
func Fields() hwif.FieldSet {
	var s hwif.FieldSet
	for i := range keys {
		s |= hwif.FieldsOf(keys[i].field)
	}
	return s
}

// Actions is what the action table can write.
func Actions() hwif.ActionSet {
	var s hwif.ActionSet
	for i := range acts {
		s |= acts[i].kinds
	}
	return s
}

// checkActions finds what the table cannot write, before anything is written.
func checkActions(f *Filter, s *Shape) error {
	set := f.Rule.Actions.Set
	left := set
	for i := range acts {
		row := &acts[i]
		if set&row.kinds == 0 {
			continue
		}
		left &^= row.kinds
		if row.why != nil {
			if kind, text := row.why(f, s); text != "" {
				return refusal(&f.Rule, kind.String(), text)
			}
		}
	}
	if kind, ok := left.First(); ok {
		return refusal(&f.Rule, kind.String(), "no row of the action table")
	}
	if v := set & verdicts; v == 0 || v&(v-1) != 0 {
		return refusal(&f.Rule, "verdict", "a filter ends with one of redirect, drop and trap")
	}
	return nil
}

func whyPop(f *Filter, _ *Shape) (hwif.ActionKind, string) {
	if f.Rule.Match.VLAN == 0 {
		return hwif.ActVLANPop, "no tag is matched"
	}
	return 0, ""
}

// whyCsum: csum is about the headers that pedit changed. Without a change it would
// make a wrong checksum right, which is not what the kernel's forwarding does.
func whyCsum(f *Filter, _ *Shape) (hwif.ActionKind, string) {
	if f.Rule.Actions.Set&pedits == 0 {
		return hwif.ActCsum, "no header is rewritten"
	}
	return 0, ""
}

func whyAlone(f *Filter, _ *Shape) (hwif.ActionKind, string) {
	set := f.Rule.Actions.Set
	if rest := set &^ verdicts; rest != 0 {
		kind, _ := rest.First()
		return kind, "nothing is rewritten on a frame that is not forwarded"
	}
	return 0, ""
}

// writeActs writes the whole TCA_FLOWER_ACT nest.
func writeActs(b []byte, f *Filter, s *Shape) []byte {
	b, outer := nest(b, flowerAct)
	order := uint16(0)
	for i := range acts {
		row := &acts[i]
		if f.Rule.Actions.Set&row.kinds == 0 || s.NoCsum && row.name == "csum" {
			continue
		}
		if row.name == "csum" && csumFlags(f) == 0 {
			continue // MACs alone were changed
		}
		order++
		var one, opts int
		b, one = nest(b, order)
		b = attrString(b, actKind, row.name)
		b, opts = nest(b, actOptions)
		b = row.write(b, f, s)
		b = unnest(b, opts)
		if row.kinds&verdicts != 0 {
			b = attrBytes(b, actCookie, f.Rule.Cookie[:])
		}
		// One counter instead of one per CPU: at 100 000 rules and 128 CPUs the
		// others would take gigabytes.
		b = attrBits(b, actFlags, bitfieldNoPercpu)
		b = unnest(b, one)
	}
	return unnest(b, outer)
}

// gen writes struct tc_gen with what comes next.
func gen(b []byte, next uint32) []byte {
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	b = ne.AppendUint32(b, next)
	return append(b, 0, 0, 0, 0, 0, 0, 0, 0)
}
