package offload_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/offload"
)

// world is everything around an engine, played by hand: a device that keeps
// rules in a map, a resolver and a conntrack keeper that answer when told to.
type world struct {
	eng   *offload.Engine
	opts  offload.Options
	caps  hwif.Caps
	now   flow.Time
	rules map[hwif.Match]*hwif.Installed

	ops     []hwif.Op // not yet answered
	lookups map[flow.ID]flow.Query
	preps   map[flow.ID]flow.Prepare
	full    bool                    // say whole rules
	auto    bool                    // answer look-ups and preparations at once
	hop     byte                    // last byte of the next hop's MAC
	index   map[string]hwif.Ifindex // of the ports, by name
	refuse  []hwif.Kind
	entries map[flow.Tuple]flow.Entry
	out     strings.Builder

	forgot   bool // the device lost rules that no listing has shown yet
	checkErr error
}

func allCaps(max int) hwif.Caps {
	return hwif.Caps{Driver: "world", Fields: hwif.FieldsOf(hwif.Fields()...), Actions: hwif.ActionsOf(hwif.ActionKinds()...),
		MaxRules: max, Batch: 64, Counters: hwif.CountersFull, Guarded: true, Persistent: true}
}

func newWorld() *world {
	w := &world{caps: allCaps(8), now: 100e9, hop: 2,
		rules: map[hwif.Match]*hwif.Installed{}, entries: map[flow.Tuple]flow.Entry{},
		index: map[string]hwif.Ifindex{"lan": 1, "wan": 2}}
	w.start()
	return w
}

// start makes a fresh engine over whatever the device holds.
func (w *world) start() {
	w.eng = offload.New(w.opts)
	w.lookups, w.preps, w.ops = map[flow.ID]flow.Query{}, map[flow.ID]flow.Prepare{}, nil
	w.eng.AddDevice(w.caps)
	w.eng.Tick(w.now)
	w.eng.SetPorts(0, w.ports())
}

// ports are the device's ports when all is well.
func (w *world) ports() []hwif.Port {
	return []hwif.Port{
		{Ifindex: w.index["lan"], Name: "lan", MAC: hwif.MAC{2, 0, 0, 0, 1, 1}, MTU: 1500, Up: true},
		{Ifindex: w.index["wan"], Name: "wan", MAC: hwif.MAC{2, 0, 0, 0, 1, 2}, MTU: 1500, Up: true},
	}
}

func (w *world) list() []hwif.Installed {
	var out []hwif.Installed
	for _, in := range w.rules {
		out = append(out, *in)
	}
	slices.SortFunc(out, func(a, b hwif.Installed) int { return strings.Compare(a.Rule.String(), b.Rule.String()) })
	return out
}

// settle asks the engine what is wanted, says it, and answers what is
// answered by itself, until nothing is left.
func (w *world) settle() {
	for range 50 {
		r := w.eng.Ready()
		busy := false
		for _, op := range r.Ops {
			w.say("%-7s %s %s", op.Kind, dirOf(op), w.ruleText(&op.Rule, op.Token.Flow == ^uint32(0)))
			busy = true
		}
		w.ops = append(w.ops, r.Ops...)
		for _, id := range r.Forget {
			delete(w.lookups, id)
			w.say("forget  #%d", id)
		}
		for _, q := range slices.Clone(r.Lookups) {
			w.lookups[q.ID] = q
			proof := ""
			if q.Proof != 0 {
				proof = " by packets of " + time.Duration(q.Proof-w.now).String() + " from now on"
			}
			w.say("resolve #%d%s", q.ID, proof)
			if w.auto {
				w.answer(q, 0, "")
			}
			busy = true
		}
		for _, p := range slices.Clone(r.Prepare) {
			w.preps[p.ID] = p
			w.say("prepare #%d timeout %d", p.ID, p.Timeout)
			if w.auto {
				w.prepared(p, "")
			}
			busy = true
		}
		for _, t := range r.Touch {
			verb := "touch"
			if t.Release {
				verb = "release"
			}
			w.say("%-7s %s timeout %d", verb, t.Orig, t.Timeout)
		}
		if r.Dump {
			w.say("dump")
		}
		if !busy {
			return
		}
		if w.auto && len(w.ops) > 0 {
			w.apply()
		}
	}
	w.say("NEVER SETTLES")
}

// ruleText is the whole rule after the command full, and otherwise what tells
// rules of one story apart.
func (w *world) ruleText(r *hwif.Rule, ghost bool) string {
	s := r.String()
	if !w.full {
		m := &r.Match
		s = fmt.Sprintf("%s:%d > %s:%d to %s", m.Src.Netip(m.Family), m.SrcPort, m.Dst.Netip(m.Family), m.DstPort, r.Actions.EthDst)
	}
	if ghost {
		s += " (a ghost)"
	}
	return s
}

func dirOf(op hwif.Op) string {
	return flow.Dir(op.Rule.Cookie.Dir()).String() + strings.Repeat(" ", 5-len(flow.Dir(op.Rule.Cookie.Dir()).String()))
}

func (w *world) say(format string, args ...any) { fmt.Fprintf(&w.out, format+"\n", args...) }

func (w *world) answer(q flow.Query, rs flow.Reasons, text string) {
	mtu := uint16(1500)
	hop := hwif.MAC{2, 0, 0, 0, 2, w.hop}
	client := hwif.MAC{2, 0, 0, 0, 2, 1}
	lan, wan := hwif.MAC{2, 0, 0, 0, 1, 1}, hwif.MAC{2, 0, 0, 0, 1, 2}
	lanPort, wanPort := w.index["lan"], w.index["wan"]
	w.eng.Step(flow.Answer{ID: q.ID, Gen: q.Gen, Reasons: rs, Text: text, Routes: [2]flow.Route{
		{In: lanPort, Out: wanPort, InMAC: lan, SrcMAC: wan, DstMAC: hop, MTU: mtu, InMTU: mtu},
		{In: wanPort, Out: lanPort, InMAC: wan, SrcMAC: lan, DstMAC: client, MTU: mtu, InMTU: mtu},
	}})
}

func (w *world) prepared(p flow.Prepare, err string) {
	delete(w.preps, p.ID)
	en, ok := w.entries[p.Orig]
	en.Timeout, en.Has = p.Timeout, en.Has|flow.HasTimeout
	w.eng.Step(flow.Prepared{ID: p.ID, Gen: p.Gen, Gone: !ok, Entry: en, Err: err})
}

// apply lets the device answer everything that it was sent.
func (w *world) apply() {
	var dones []offload.Done
	for _, op := range w.ops {
		dones = append(dones, offload.Done{Op: op, Result: w.applyOne(op)})
	}
	w.ops = nil
	w.eng.Done(dones)
	if err := w.check(); err != nil && w.checkErr == nil {
		w.checkErr = err
	}
}

func (w *world) applyOne(op hwif.Op) hwif.Result {
	held := w.rules[op.Rule.Match]
	fail := func(k hwif.Kind) hwif.Result {
		return hwif.Result{Err: &hwif.Error{Op: op.Kind.String(), Device: "world", Kind: k, Cookie: op.Rule.Cookie}}
	}
	if len(w.refuse) > 0 {
		k := w.refuse[0]
		w.refuse = w.refuse[1:]
		if k != 255 {
			return fail(k)
		}
	}
	switch {
	case op.Kind == hwif.OpRemove && (held == nil || held.Rule.Cookie != op.Rule.Cookie):
		return fail(hwif.KindNotExist)
	case op.Kind == hwif.OpRemove:
		delete(w.rules, op.Rule.Match)
		return hwif.Result{Final: held.Counter}
	case held != nil:
		return fail(hwif.KindExist)
	case len(w.rules) >= w.caps.MaxRules:
		return fail(hwif.KindFull)
	}
	w.rules[op.Rule.Match] = &hwif.Installed{Rule: op.Rule, Presence: hwif.InHW}
	return hwif.Result{Presence: hwif.InHW}
}

// count moves the counters of every rule by some packets and lets the engine
// read them.
func (w *world) count(packets uint64, of string) {
	var cs []hwif.Counted
	for _, in := range w.rules {
		if of != "" && in.Rule.Match.Src.Netip(in.Rule.Match.Family).String() != of {
			continue
		}
		in.Counter.Packets += packets
		in.Counter.Bytes += packets * 1000
		cs = append(cs, hwif.Counted{Cookie: in.Rule.Cookie, Counter: in.Counter})
	}
	w.eng.Count(cs)
}

// check holds the promises against what the device has and the engine says.
func (w *world) check() error {
	byGen := map[uint64]int{}
	for _, in := range w.rules {
		if in.Rule.Cookie.Ours() {
			byGen[in.Rule.Cookie.Gen()]++
		}
	}
	if len(w.rules) > w.caps.MaxRules {
		return fmt.Errorf("%d rules in a table of %d", len(w.rules), w.caps.MaxRules)
	}
	views, _, _ := w.eng.List(0, 1<<20, nil, nil)
	for _, v := range views {
		if v.State.InHardware() {
			for d := range v.Cookies {
				if (v.Verdict == flow.Drop || v.Untracked) && v.Rules[d] == flow.RuleNone {
					continue // the other direction alone
				}
				if w.hasCookie(v.Cookies[d]) == nil && !w.forgot {
					return fmt.Errorf("%s is %s, but its %s rule is not in the device", v.Entry.Orig, v.State, flow.Dir(d))
				}
			}
			if v.Reasons != 0 {
				return fmt.Errorf("%s is %s and has reasons %v", v.Entry.Orig, v.State, v.Reasons.List())
			}
		} else if v.Reasons == 0 && v.State != flow.StatePending {
			return fmt.Errorf("%s is %s without a reason", v.Entry.Orig, v.State)
		}
	}
	return w.counts(views)
}

// counts compares the engine's gauges with its own listing.
func (w *world) counts(views []offload.View) error {
	st := w.eng.Stats()
	var states [16]int
	var reasons [64]int
	for _, v := range views {
		states[v.State]++
		for _, r := range v.Reasons.List() {
			reasons[r]++
		}
	}
	if states != st.Flows {
		return fmt.Errorf("gauge by state %v, listing %v", st.Flows, states)
	}
	if reasons != st.NotOffload {
		return fmt.Errorf("gauge by reason %v, listing %v", st.NotOffload, reasons)
	}
	return nil
}

func (w *world) hasCookie(c hwif.Cookie) *hwif.Installed {
	for in := range maps.Values(w.rules) {
		if in.Rule.Cookie == c {
			return in
		}
	}
	return nil
}

var errUsage = errors.New("usage")

func (w *world) advance(d time.Duration) {
	w.now += flow.Time(d)
	w.eng.Tick(w.now)
}
