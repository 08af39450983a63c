package offload_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/offload"
	"github.com/shunt-offload/shunt/hwif/policy"
)

// command plays one line of a story. After each line everything that follows
// from it is said.
//
//	auto                         answer look-ups, preparations and operations at once
//	full                         say whole rules, not only what tells them apart
//	manual                       only when told: answer, prepared, apply
//	synced [conntrack|route]     both by default
//	loss conntrack|route
//	listed                       the device's first (or next) listing
//	conn KIND PROTO SRC > DST [reply SRC > DST] [key=value ...]   read=D: read so long ago
//	counts TUPLE packets=N       what the kernel would say now, if it were asked
//	answer ID [reason ...]       the resolver answers
//	prepared ID [text]           conntrack's keeper answers; text is an error
//	apply                        the device answers
//	refuse KIND|ok ...           what the device answers next, one word per operation
//	hop N                        the next hop's MAC ends in N from now on
//	dirty CAUSE ID ...           answers no longer hold
//	ruleset                      netfilter's rules change
//	drops CEILING                so many flows may be dropped for netfilter, 10 s each
//	marks offload=N never=N drop=N   bits of the conntrack mark that decide
//	dropped TUPLE [dir=reply]    netfilter drops many of its packets
//	life DURATION                a flow is in hardware for so long before its packets count again
//	untracked off|pinned|on      flows that conntrack leaves alone; their life is 1 min
//	heavy TUPLE packets=N [alone=yes]       the observer has seen so many packets
//	count N [SRC]                every rule forwards N packets (or those from SRC), and is read
//	wait DURATION                time passes
//	forget-rules [orig|reply]    the device loses everything, or one direction, and says nothing
//	pin|unpin|deny|undeny|evict TUPLE owner=X [lease=D] [hold=D] [note=X]
//	pause OWNER / resume
//	port NAME down|up|refused|gone   a port changes
//	port NAME as IFINDEX         it returns under another number
//	port NAME joins none|all|PORT ...   where the device can send what entered there
//	policy packets=N ceiling=N ruleset=keep|flush|relearn   the policy changes; "policy none" lets nothing in
//	restart                      a new daemon over the same device
//	stop
//	flows                        list them
//	rules                        list the device's rules
//	explain TUPLE
//	removals                     count by cause
func (w *world) command(args []string) error {
	verb, args := args[0], args[1:]
	f, ok := verbs[verb]
	if !ok {
		return fmt.Errorf("no such command")
	}
	if err := f(w, args); err != nil {
		return err
	}
	w.settle()
	err := w.checkErr
	w.checkErr = nil
	return err
}

var verbs = map[string]func(*world, []string) error{
	"auto":   func(w *world, _ []string) error { w.auto = true; return nil },
	"full":   func(w *world, _ []string) error { w.full = true; return nil },
	"manual": func(w *world, _ []string) error { w.auto = false; return nil },
	"synced": func(w *world, args []string) error {
		for _, s := range []flow.Source{flow.SourceConntrack, flow.SourceRoute} {
			if len(args) == 0 || args[0] == s.String() {
				w.eng.Step(flow.Synced{Source: s})
			}
		}
		return nil
	},
	"relisted": func(w *world, _ []string) error {
		w.eng.Step(flow.Synced{Source: flow.SourceConntrack, Begin: w.now})
		return nil
	},
	"loss": func(w *world, args []string) error {
		w.eng.Step(flow.Loss{Source: map[string]flow.Source{"conntrack": flow.SourceConntrack, "route": flow.SourceRoute}[args[0]]})
		return nil
	},
	"listed": func(w *world, _ []string) error {
		w.eng.Observe(0, w.now, w.list())
		w.forgot = false
		return nil
	},
	"conn": (*world).conn,
	"counts": func(w *world, args []string) error {
		t, kv, err := tupleOf(args)
		if err != nil {
			return err
		}
		en := w.entries[t]
		en.Packets[0], err = strconv.ParseUint(kv["packets"], 10, 64)
		en.Has |= flow.HasCounters
		w.entries[t] = en
		return err
	},
	"answer": func(w *world, args []string) error {
		id, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		rs, err := reasonsOf(args[1:])
		text := ""
		if rs != 0 {
			text = "because"
		}
		w.answer(w.lookups[flow.ID(id)], rs, text)
		return err
	},
	"prepared": func(w *world, args []string) error {
		id, err := strconv.Atoi(args[0])
		w.prepared(w.preps[flow.ID(id)], strings.Join(args[1:], " "))
		return err
	},
	"apply": func(w *world, _ []string) error { w.apply(); return nil },
	"refuse": func(w *world, args []string) error {
		for _, a := range args {
			k := slices.IndexFunc(hwif.Kinds(), func(k hwif.Kind) bool { return k.String() == a })
			if k < 0 && a != "ok" {
				return fmt.Errorf("no kind %s", a)
			}
			w.refuse = append(w.refuse, hwif.Kind(k)) // ok is 255
		}
		return nil
	},
	"hop": func(w *world, args []string) error {
		n, err := strconv.Atoi(args[0])
		w.hop = byte(n)
		return err
	},
	"dirty": func(w *world, args []string) error {
		c := slices.IndexFunc(flow.Causes(), func(c flow.Cause) bool { return c.String() == args[0] })
		if c < 0 {
			return fmt.Errorf("no cause %s", args[0])
		}
		d := flow.Dirty{Cause: flow.Causes()[c]}
		for _, a := range args[1:] {
			n, err := strconv.Atoi(a)
			if err != nil {
				return err
			}
			d.IDs = append(d.IDs, flow.ID(n))
		}
		w.eng.Step(d)
		return nil
	},
	"ruleset": func(w *world, _ []string) error {
		w.eng.Step(flow.Ruleset{At: w.now, Text: "the ruleset was changed"})
		return nil
	},
	"drops": func(w *world, args []string) (err error) {
		w.opts.DropLife = 10 * time.Second
		w.opts.DropCeiling, err = strconv.Atoi(args[0])
		w.eng.SetOptions(w.opts)
		return err
	},
	"life": func(w *world, args []string) (err error) {
		w.opts.Life, err = time.ParseDuration(args[0])
		w.eng.SetOptions(w.opts)
		return err
	},
	"untracked": func(w *world, args []string) error {
		w.opts.Untracked = offload.Untracked{Pinned: args[0] != "off", All: args[0] == "on", Life: time.Minute}
		w.eng.SetOptions(w.opts)
		return nil
	},
	"marks": func(w *world, args []string) error {
		for _, a := range args {
			k, v, _ := strings.Cut(a, "=")
			n, err := strconv.ParseUint(v, 0, 32)
			if err != nil {
				return err
			}
			*map[string]*uint32{"offload": &w.opts.Marks.Offload, "never": &w.opts.Marks.Never, "drop": &w.opts.Marks.Drop}[k] = uint32(n)
		}
		w.eng.SetOptions(w.opts)
		return nil
	},
	"dropped": func(w *world, args []string) error {
		t, kv, err := tupleOf(args)
		if err != nil {
			return err
		}
		d := flow.Dropped{Orig: t, Reply: t.Reversed(), In: w.index["lan"], Packets: 100, At: w.now}
		if kv["dir"] == "reply" {
			d.Dir, d.In = flow.Reply, w.index["wan"]
		}
		w.eng.Step(d)
		return nil
	},
	"heavy": func(w *world, args []string) error {
		t, kv, err := tupleOf(args)
		if err != nil {
			return err
		}
		n, err := strconv.ParseUint(kv["packets"], 10, 64)
		w.eng.Step(flow.Heavy{Orig: t, Packets: n, At: w.now, Alone: kv["alone"] != ""})
		return err
	},
	"count": func(w *world, args []string) error {
		n, err := strconv.ParseUint(args[0], 10, 64)
		w.count(n, strings.Join(args[1:], ""))
		return err
	},
	"wait": func(w *world, args []string) error {
		d, err := time.ParseDuration(args[0])
		w.advance(d)
		return err
	},
	"forget-rules": func(w *world, args []string) error {
		maps.DeleteFunc(w.rules, func(_ hwif.Match, in *hwif.Installed) bool {
			return len(args) == 0 || flow.Dir(in.Rule.Cookie.Dir()).String() == args[0]
		})
		w.forgot = true
		return nil
	},
	"stranger": func(w *world, _ []string) error {
		m := hwif.Match{Fields: hwif.FieldsOf(hwif.FieldInPort), InPort: 1}
		w.rules[m] = &hwif.Installed{Rule: hwif.Rule{Match: m}, Presence: hwif.InHW}
		return nil
	},
	"pin":    func(w *world, args []string) error { return w.operator((*offload.Engine).Pin, args) },
	"deny":   func(w *world, args []string) error { return w.operator((*offload.Engine).Deny, args) },
	"unpin":  func(w *world, args []string) error { return w.retract((*offload.Engine).Unpin, args) },
	"undeny": func(w *world, args []string) error { return w.retract((*offload.Engine).Undeny, args) },
	"evict": func(w *world, args []string) error {
		t, kv, err := tupleOf(args)
		if err != nil {
			return err
		}
		hold, _ := time.ParseDuration(kv["hold"])
		w.refused(w.eng.Evict(t, kv["owner"], kv["note"], hold))
		return nil
	},
	"pause":  func(w *world, args []string) error { w.eng.Pause(args[0], ""); return nil },
	"resume": func(w *world, _ []string) error { w.eng.Resume(""); return nil },
	"port":   (*world).port,
	"policy": func(w *world, args []string) error {
		if len(args) == 1 && args[0] == "none" {
			w.opts.Policy = policy.OnlyPinned{}
			w.eng.SetOptions(w.opts)
			return nil
		}
		var p policy.Threshold
		for _, a := range args {
			k, v, _ := strings.Cut(a, "=")
			if k == "ruleset" {
				for _, r := range []offload.RulesetPolicy{offload.RulesetRelearn, offload.RulesetFlush, offload.RulesetKeep} {
					if r.String() == v {
						w.opts.Ruleset = r
					}
				}
				continue
			}
			n, err := strconv.Atoi(v)
			if err != nil {
				return err
			}
			switch k {
			case "packets":
				p.MinPackets = uint64(n)
			case "ceiling":
				p.Ceiling = n
			case "age":
				p.MinAge = time.Duration(n) * time.Second
			}
		}
		w.opts.Policy = &p
		w.eng.SetOptions(w.opts)
		return nil
	},
	"table": func(w *world, args []string) error {
		n, err := strconv.Atoi(args[0])
		w.caps.MaxRules = n
		w.start()
		return err
	},
	"restart":  func(w *world, _ []string) error { w.start(); return nil },
	"stop":     func(w *world, _ []string) error { w.eng.Stop(); return nil },
	"flows":    (*world).flows,
	"rules":    (*world).listRules,
	"explain":  (*world).explain,
	"removals": (*world).removals,
}

func (w *world) port(args []string) error {
	ports := w.ports()
	i := slices.IndexFunc(ports, func(p hwif.Port) bool { return p.Name == args[0] })
	if i < 0 {
		return fmt.Errorf("no port %s", args[0])
	}
	p := &ports[i]
	switch args[1] {
	case "down":
		p.Up = false
	case "refused":
		p.Refused = "its peer takes no frames"
	case "gone":
		ports = slices.Delete(ports, i, i+1)
	case "as":
		n, err := strconv.ParseUint(args[2], 10, 32)
		if err != nil {
			return err
		}
		w.index[p.Name] = hwif.Ifindex(n)
		ports = w.ports()
	case "joins":
		if args[2] == "all" {
			break
		}
		p.Joins = []hwif.Ifindex{}
		for _, name := range args[2:] {
			if k := w.index[name]; k != 0 {
				p.Joins = append(p.Joins, k)
			}
		}
	case "up":
	default:
		return errUsage
	}
	w.eng.SetPorts(0, ports)
	return nil
}

func (w *world) operator(f func(*offload.Engine, offload.Intent) error, args []string) error {
	t, kv, err := tupleOf(args)
	if err != nil {
		return err
	}
	in := offload.Intent{Tuple: t, Owner: kv["owner"], Note: kv["note"]}
	if l, ok := kv["lease"]; ok {
		d, err := time.ParseDuration(l)
		if err != nil {
			return err
		}
		in.Expires = w.now + flow.Time(d)
	}
	w.refused(f(w.eng, in))
	return nil
}

func (w *world) retract(f func(*offload.Engine, flow.Tuple, string) error, args []string) error {
	t, kv, err := tupleOf(args)
	if err != nil {
		return err
	}
	w.refused(f(w.eng, t, kv["owner"]))
	return nil
}

func (w *world) refused(err error) {
	if err != nil {
		w.say("refused: %v", err)
	}
}

func (w *world) flows([]string) error {
	views, _, _ := w.eng.List(0, 1000, nil, nil)
	for _, v := range views {
		why := ""
		for _, r := range v.Reasons.List() {
			why += " " + r.String()
		}
		if v.Pinned {
			why += " (pinned)"
		}
		w.say("%s: %s%s, nic %d packets", v.Entry.Orig, v.State, why, v.NIC[0].Packets+v.NIC[1].Packets)
	}
	return nil
}

func (w *world) listRules([]string) error {
	for _, in := range w.list() {
		w.say("%s", w.ruleText(&in.Rule, false))
	}
	return nil
}

func (w *world) explain(args []string) error {
	t, _, err := tupleOf(args)
	if err != nil {
		return err
	}
	for _, s := range w.eng.Explain(t).Stages {
		mark := "ok"
		if !s.OK {
			mark = "no"
		}
		w.say("%-8s %s  %s", s.Name, mark, s.Text)
	}
	return nil
}

func (w *world) removals([]string) error {
	st := w.eng.Stats()
	for _, c := range flow.Causes() {
		if n := st.Removals[c]; n > 0 {
			w.say("%s %d", c, n)
		}
	}
	return nil
}

// conn reads: KIND PROTO SRC > DST [reply SRC > DST] [key=value ...]. Without
// more it is settled: assured, established, no NAT.
func (w *world) conn(args []string) error {
	kinds := map[string]flow.ConnKind{"new": flow.ConnNew, "update": flow.ConnUpdate, "destroy": flow.ConnDestroy, "listed": flow.ConnListed}
	kind, ok := kinds[args[0]]
	at := w.now
	if !ok {
		return fmt.Errorf("no kind %s", args[0])
	}
	t, kv, err := tupleOf(args[1:])
	if err != nil {
		return err
	}
	en := flow.Entry{Orig: t, Reply: t.Reversed(), ID: 1, Timeout: 120,
		Status: flow.StatusConfirmed | flow.StatusSeenReply | flow.StatusAssured, Has: flow.HasTimeout}
	if i := slices.Index(args, "reply"); i >= 0 {
		if en.Reply, err = tuple(t.Proto, args[i+1], args[i+3]); err != nil {
			return err
		}
	}
	if t.Proto == hwif.ProtoTCP {
		en.Has |= flow.HasTCP
		en.TCPState, en.Timeout = flow.TCPEstablished, 432000
	}
	for k, v := range kv {
		n, _ := strconv.ParseUint(v, 10, 64)
		switch k {
		case "id":
			en.ID = uint32(n)
		case "mark":
			en.Mark, en.Has = uint32(n), en.Has|flow.HasMark
		case "timeout":
			en.Timeout = uint32(n)
		case "packets":
			en.Packets[0], en.Bytes[0], en.Has = n, n*100, en.Has|flow.HasCounters
		case "status":
			en.Status = uint32(n)
		case "read": // so long ago: it was on its way
			d, err := time.ParseDuration(v)
			if err != nil {
				return err
			}
			at -= flow.Time(d)
		case "helper":
			en.Has |= flow.HasHelp
		case "state":
			for s := flow.TCPNone; s <= flow.TCPSynSent2; s++ {
				if s.String() == v {
					en.TCPState = s
				}
			}
		default:
			return fmt.Errorf("no key %s", k)
		}
	}
	if kind == flow.ConnDestroy {
		delete(w.entries, t)
	} else {
		w.entries[t] = en
	}
	w.eng.Step(flow.Conns{{Kind: kind, Entry: en, At: at}})
	return nil
}

func tupleOf(args []string) (flow.Tuple, map[string]string, error) {
	kv := map[string]string{}
	for _, a := range args {
		if k, v, ok := strings.Cut(a, "="); ok {
			kv[k] = v
		}
	}
	if len(args) < 4 || args[2] != ">" {
		return flow.Tuple{}, nil, errUsage
	}
	proto := map[string]uint8{"tcp": hwif.ProtoTCP, "udp": hwif.ProtoUDP, "icmp": 1}[args[0]]
	t, err := tuple(proto, args[1], args[3])
	return t, kv, err
}

func tuple(proto uint8, src, dst string) (flow.Tuple, error) {
	s, err := netip.ParseAddrPort(src)
	if err != nil {
		return flow.Tuple{}, err
	}
	d, err := netip.ParseAddrPort(dst)
	if err != nil {
		return flow.Tuple{}, err
	}
	t := flow.Tuple{Proto: proto, SrcPort: s.Port(), DstPort: d.Port()}
	t.Src, t.Family = hwif.AddrFrom(s.Addr())
	t.Dst, _ = hwif.AddrFrom(d.Addr())
	return t, nil
}

func reasonsOf(words []string) (flow.Reasons, error) {
	var rs flow.Reasons
	for _, word := range words {
		i := slices.IndexFunc(flow.AllReasons(), func(r flow.Reason) bool { return r.String() == word })
		if i < 0 {
			return 0, fmt.Errorf("no reason %s", word)
		}
		rs = rs.With(flow.AllReasons()[i])
	}
	return rs, nil
}
