package offload

import (
	"fmt"
	"strings"
	"time"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/plan"
	"github.com/shunt-offload/shunt/hwif/policy"
)

func cookies(gen uint64) [2]hwif.Cookie {
	return [2]hwif.Cookie{hwif.NewCookie(gen, 0), hwif.NewCookie(gen, 1)}
}

// Explain asks every stage for its word on one tuple. Nothing is installed and
// nothing changes.
func (e *Engine) Explain(t flow.Tuple) Explanation {
	v, ok := e.Get(t)
	if !ok {
		text := "conntrack has told of no such connection" + e.leftAlone(t)
		if err := t.Check(); err != nil {
			text = err.Error()
		} else if !e.synced[flow.SourceConntrack] {
			text = "not known yet: the first conntrack listing is under way"
		}
		return Explanation{Stages: []Stage{{Name: "flow", Text: text}}}
	}
	id, _ := e.find(t)
	f := e.table.At(id)
	x := Explanation{Found: true, View: v}
	add := func(name string, rs flow.Reasons, format string, args ...any) {
		x.Stages = append(x.Stages, Stage{Name: name, OK: rs == 0, Reasons: rs, Text: fmt.Sprintf(format, args...)})
	}
	add("flow", 0, "#%d %s, known for %s", v.UID, tracked(&v), ago(e.now-v.Created))
	rs, well := flow.Eligible(&v.Entry), "conntrack has settled it"
	switch {
	case v.Untracked:
		rs, well = flow.Droppable(&v.Entry, true), "nothing speaks against it"
	case v.Verdict == flow.Drop:
		rs, well = flow.Droppable(&v.Entry, f.Has(flow.FlagAlone)), "hardware may drop it"
	}
	add("eligible", rs, "%s", okOr(rs, well))
	e.explainIntent(add, &v)
	e.explainRoute(add, f, &v)
	e.explainPolicy(add, f)
	e.explainPlan(add, f)
	for d := flow.Orig; d <= flow.Reply; d++ {
		add("rules", 0, "%-5s %s, %d packets, %d bytes by the NIC", d, v.Rules[d], v.NIC[d].Packets, v.NIC[d].Bytes)
	}
	for _, h := range v.History {
		word := h.State.String()
		if h.Cause != flow.CauseNone {
			word += ": " + h.Cause.String()
		}
		if h.Took != 0 {
			word += ", out of hardware after " + ago(h.Took)
		}
		add("history", 0, "%s ago %s", ago(e.now-h.At), word)
	}
	if v.State.InHardware() {
		add("result", 0, "in hardware: %s", v.State)
	} else {
		add("result", v.Reasons, "in software: %s%s", v.State, paren(v.Text))
	}
	return x
}

// leftAlone says what becomes of a tuple that is unknown because conntrack was told to
// leave it alone.
func (e *Engine) leftAlone(t flow.Tuple) string {
	switch {
	case !e.opts.Untracked.Pinned && !e.opts.Untracked.All:
		return ""
	case e.admitsAlone(t):
		return "; one that it leaves alone (notrack) is known once enough of its packets are seen"
	}
	return "; one that it leaves alone (notrack) has to be pinned, each direction by itself (policy.untracked)"
}

func tracked(v *View) string {
	en := &v.Entry
	if v.Untracked {
		return "untracked: conntrack was told to leave it alone"
	}
	s := "status"
	for _, b := range []struct {
		bit  uint32
		name string
	}{{flow.StatusConfirmed, "confirmed"}, {flow.StatusSeenReply, "seen_reply"}, {flow.StatusAssured, "assured"}} {
		if en.Status&b.bit != 0 {
			s += " " + b.name
		}
	}
	if en.Has&flow.HasTCP != 0 {
		s = en.TCPState.String() + ", " + s
	}
	if snat, dnat := en.NAT(); snat || dnat {
		s += fmt.Sprintf(", NAT: reply is %s", en.Reply)
	}
	return s
}

func (e *Engine) explainIntent(add func(string, flow.Reasons, string, ...any), v *View) {
	switch {
	case e.paused != "":
		add("intent", flow.Of(flow.AgentPaused), "%s", e.paused)
	case v.Intent.Kind == IntentPin:
		add("intent", 0, "pinned by %s%s", v.Intent.Owner, paren(v.Intent.Note))
	case v.Intent.Kind == IntentDeny:
		add("intent", flow.Of(flow.DeniedByOperator), "denied by %s%s", v.Intent.Owner, paren(v.Intent.Note))
	case v.Intent.Kind == IntentHold:
		add("intent", flow.Of(flow.Backoff), "held out for another %s%s", ago(v.Again-e.now), paren(v.Text))
	}
}

func (e *Engine) explainRoute(add func(string, flow.Reasons, string, ...any), f *flow.Flow, v *View) {
	s := e.stay(f)
	switch {
	case s == nil || s.Stage == flow.StageIdle:
		add("route", flow.Of(flow.RouteUnobserved), "not asked for")
	case s.Stage == flow.StageAsked:
		add("route", flow.Of(flow.RouteUnobserved), "asked for, no answer yet")
	case s.Refusal != 0:
		add("route", s.Refusal, "%s", okOr(s.Refusal, "")+paren(v.Text))
	default:
		for d := flow.Orig; d <= flow.Reply; d++ {
			if !s.Wants(int(d)) && s.Verdict == flow.Forward {
				continue
			}
			if s.Verdict == flow.Drop {
				if s.Wants(int(d)) {
					add("route", 0, "%-5s %s drop", d, e.inText(&v.Routes[d]))
				}
				continue
			}
			add("route", 0, "%-5s %s via %s, %s", d, e.routeText(&v.Routes[d]), v.Nexthop[d].Netip(v.Entry.Orig.Family), e.evidenceText(v, d))
		}
	}
}

// evidenceText says what a route rests on.
func (e *Engine) evidenceText(v *View, d flow.Dir) string {
	ev := &v.Evidence[d]
	s := "learnt from the tables"
	if ev.Seen != 0 {
		s = "learnt from a packet " + ago(e.now-ev.Seen) + " ago"
	}
	if ev.Legs != 0 {
		s += fmt.Sprintf(", one of %d nexthops", ev.Legs)
	}
	if ev.Mark != 0 {
		s += fmt.Sprintf(", mark 0x%x", ev.Mark)
	}
	if ev.L3In != 0 && (ev.L3In != v.Routes[d].In || ev.L3Out != v.Routes[d].Out) {
		s += fmt.Sprintf(", by interfaces #%d and #%d", ev.L3In, ev.L3Out)
	}
	if ev.VRF != 0 {
		s += fmt.Sprintf(", of VRF #%d", ev.VRF)
	}
	return s
}

func (e *Engine) routeText(r *flow.Route) string {
	return fmt.Sprintf("%s out %s lladdr %s mtu %d", e.inText(r), e.portText(r.Out, r.OutVLAN), r.DstMAC, r.MTU)
}

func (e *Engine) inText(r *flow.Route) string { return "in " + e.portText(r.In, r.InVLAN) }

func (e *Engine) portText(i hwif.Ifindex, vlan hwif.VLAN) string {
	s := fmt.Sprintf("#%d", i)
	if p, ok := e.ports[i]; ok {
		s = p.Name
	}
	if vlan != 0 {
		s += fmt.Sprintf(" vlan %d", vlan)
	}
	return s
}

func (e *Engine) explainPolicy(add func(string, flow.Reasons, string, ...any), f *flow.Flow) {
	if s := e.stay(f); s != nil && s.Verdict == flow.Drop {
		text := "its conntrack mark says drop"
		if f.Has(flow.FlagDropped) {
			text = fmt.Sprintf("netfilter keeps dropping it; the kernel is asked again in %s", ago(s.DropEnd-e.now))
		}
		add("policy", 0, "%s", text)
		return
	}
	name := fmt.Sprint(e.opts.Policy)
	if s := e.stay(f); s != nil && s.Stage != flow.StageIdle {
		add("policy", 0, "%s: admitted, %d packets by the kernel", name, f.Packets())
		return
	}
	var rs flow.Reasons
	if v := e.verdict(f); v.Decision != policy.Offload && !f.Has(flow.FlagPinned) {
		rs = flow.Of(v.Reason)
	}
	add("policy", rs, "%s: %d packets by the kernel so far, known for %s", name, f.Packets()-min(f.Base, f.Packets()), ago(e.now-f.Created))
}

func (e *Engine) explainPlan(add func(string, flow.Reasons, string, ...any), f *flow.Flow) {
	s := e.stay(f)
	if s == nil || s.Stage < flow.StageRouted || s.RoutedAt == 0 {
		return
	}
	if _, ob := e.placeable(s); ob.reasons != 0 {
		add("plan", ob.reasons, "%s", ob.text)
		return
	}
	var pair plan.Pair
	in := plan.Input{Entry: &f.Entry, Routes: &s.Routes, Caps: &e.devices[s.Device].caps, Gen: s.Gen, Verdict: s.Verdict, Dirs: s.Dirs}
	if rs, text := plan.Compile(in, &pair); rs != 0 {
		add("plan", rs, "%s", text)
		return
	}
	for d := flow.Orig; d <= flow.Reply; d++ {
		if s.Wants(int(d)) {
			add("plan", 0, "%-5s %s", d, pair[d].String())
		}
	}
}

// ago prints a span for people: three digits are enough.
func ago(t flow.Time) string {
	d := time.Duration(t)
	switch {
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(100 * time.Microsecond).String()
}

func paren(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}

func okOr(rs flow.Reasons, ok string) string {
	if rs == 0 {
		return ok
	}
	words := make([]string, 0, rs.Len())
	for _, r := range rs.List() {
		words = append(words, r.String())
	}
	return strings.Join(words, ", ")
}
