package route

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/route/rtnl"
)

// chunk is how many flows are looked up between two looks at the notification
// sockets: three rounds of two questions each, about 0.7 ms.
const chunk = rtnl.BatchSize

// job is one flow on its way to a verdict.
type job struct {
	q       *flow.Query
	seen    [2]*glimpse     // by flow.Dir, packets of the flow; nil where none was seen
	in      [2]hwif.Ifindex // by flow.Dir, ingress as routing names it (domain); of orig from a packet, from the record, or found by round 1
	hop     [2]rtnl.Route   // by flow.Dir
	hops    [2]uint16       // by flow.Dir, legs of the multipath route that one was chosen from
	srcLn   uint8           // length of the prefix that routes back to orig.src
	v       verdict
	full    bool // ask the FIB too: how many nexthops
	quiet   bool // no sentences wanted
	differs bool // a packet was seen leaving as the tables do not say (any more, or yet)
}

// failed reports whether there is nothing more to ask.
func (j *job) failed() bool { return j.v.reasons != 0 }

// lookup is the kernel as a function, so that tests can be one.
type lookup func(asks []rtnl.Ask, out []rtnl.Answer) error

// asker turns jobs into verdicts. Owned by Run.
type asker struct {
	*picture
	lookup    lookup
	markKnown bool
	asks      []rtnl.Ask
	answers   []rtnl.Answer
	who       []int // who[i] is the job of asks[i]
	several   map[netip.Prefix]hwif.Ifindex
	asked     uint64
}

// judge fills the verdict of every job. Rounds are shared by all of them: where
// does orig.src lie; orig from there; reply back.
func (a *asker) judge(jobs []job) error {
	for i := range jobs {
		j := &jobs[i]
		j.v = verdict{}
		if f := j.q.Orig.Family; f.EtherType() == 0 || j.q.Orig.SrcAddr().Is4In6() || j.q.Reply.SrcAddr().Is4In6() {
			j.refuse(flow.RouteUnsupported, "the tuple has no usable addresses")
			continue
		}
		if j.q.Verdict == flow.Drop {
			j.in = j.q.In
		}
		for d, g := range j.seen {
			if g != nil {
				j.in[d] = g.in
			}
			j.in[d] = a.domain(j.in[d])
		}
		a.before(j, a.markKnown)
	}
	for _, round := range [...]func(*asker, []job) error{(*asker).source, (*asker).forth, (*asker).back, (*asker).single} {
		if err := round(a, jobs); err != nil {
			return err
		}
	}
	for i := range jobs {
		switch j := &jobs[i]; {
		case j.q.Verdict == flow.Drop:
			a.ends(j)
		case !j.failed():
			a.after(j)
		}
	}
	return nil
}

// ask runs one round: questions were put into a.asks, answers go to take.
func (a *asker) ask(jobs []job, take func(j *job, ask *rtnl.Ask, got *rtnl.Answer)) error {
	for len(a.answers) < len(a.asks) {
		a.answers = append(a.answers, rtnl.Answer{})
	}
	a.asked += uint64(len(a.asks))
	err := a.lookup(a.asks, a.answers[:len(a.asks)])
	for i := range a.asks {
		if err == nil {
			take(&jobs[a.who[i]], &a.asks[i], &a.answers[i])
		}
	}
	a.asks, a.who = a.asks[:0], a.who[:0]
	return err
}

func (a *asker) add(who int, ask rtnl.Ask) {
	a.asks = append(a.asks, ask)
	a.who = append(a.who, who)
}

// question is what routing sees of one direction: after DNAT, before SNAT.
func (a *asker) question(q *flow.Query, d flow.Dir, iif hwif.Ifindex) rtnl.Ask {
	k := rtnl.Ask{Family: q.Orig.Family, Proto: q.Orig.Proto, Iif: iif, HasSrc: true,
		Src: q.Orig.Src, SrcPort: q.Orig.SrcPort, Dst: q.Reply.Src, DstPort: q.Reply.SrcPort}
	if d == flow.Reply {
		k.Src, k.SrcPort, k.Dst, k.DstPort = k.Dst, k.DstPort, k.Src, k.SrcPort
	}
	if a.markKnown {
		k.Mark = q.Mark
	}
	return k
}

// source finds a candidate for the ingress: the interface that leads to
// orig.src, asked as a packet of our own. The rounds after it prove or refuse it.
func (a *asker) source(jobs []job) error {
	for i := range jobs {
		if j := &jobs[i]; !j.failed() && j.in[flow.Orig] == 0 {
			k := a.question(j.q, flow.Reply, 0)
			k.HasSrc, k.FibMatch = false, true
			a.add(i, k)
		}
	}
	return a.ask(jobs, func(j *job, k *rtnl.Ask, got *rtnl.Answer) {
		if a.check(j, k, got) && a.checkFIB(j, k, &got.Route) {
			j.in[flow.Orig] = a.domain(got.Route.Oif)
		}
	})
}

// forth asks for the orig direction.
func (a *asker) forth(jobs []job) error {
	err := a.direction(jobs, flow.Orig)
	for i := range jobs {
		if j := &jobs[i]; j.in[flow.Reply] == 0 {
			j.in[flow.Reply] = a.domain(j.hop[flow.Orig].Oif)
		}
	}
	return err
}

// back asks for the reply direction. It enters where orig leaves and must leave
// where orig enters, unless packets of both were seen.
func (a *asker) back(jobs []job) error {
	if err := a.direction(jobs, flow.Reply); err != nil {
		return err
	}
	for i := range jobs {
		if j := &jobs[i]; !j.failed() && !j.observed() && !j.q.Alone && a.domain(j.hop[flow.Reply].Oif) != j.in[flow.Orig] {
			j.refuse(flow.Asymmetric, "packets from %s would enter by %s, but replies leave by %s",
				j.q.Orig.SrcAddr(), a.name(j.in[flow.Orig]), a.name(j.hop[flow.Reply].Oif))
		}
	}
	return nil
}

func (a *asker) direction(jobs []job, d flow.Dir) error {
	for i := range jobs {
		j := &jobs[i]
		if j.failed() || d == flow.Reply && j.q.Alone {
			continue
		}
		k := a.question(j.q, d, j.in[d])
		if g := j.seen[d]; g != nil {
			k.Mark = g.mark
		}
		a.add(i, k)
		if j.full {
			k.FibMatch = true
			a.add(i, k)
		}
	}
	return a.ask(jobs, func(j *job, k *rtnl.Ask, got *rtnl.Answer) {
		switch {
		case j.failed() || !a.check(j, k, got):
		case !k.FibMatch:
			j.hop[d] = got.Route
		case got.Route.Legs > 1 && j.seen[d] != nil:
			a.oneLeg(j, k, d, &got.Route)
		case a.checkFIB(j, k, &got.Route) && d == flow.Reply:
			j.srcLn = got.Route.DstLen
		}
	})
}

// check refuses what is not a plain forwarded route.
func (a *asker) check(j *job, k *rtnl.Ask, got *rtnl.Answer) bool {
	src, dst := k.Src.Netip(k.Family), k.Dst.Netip(k.Family)
	by := "the router itself"
	if k.Iif != 0 {
		by = a.name(k.Iif)
	}
	r := &got.Route
	switch {
	case got.Errno != 0:
		a.refused(j, got.Errno, k, by)
	case r.Type == unix.RTN_LOCAL || r.Type == unix.RTN_ANYCAST:
		j.refuse(flow.Local, "%s is an address of this host", dst)
	case r.Type == unix.RTN_BROADCAST || r.Type == unix.RTN_MULTICAST:
		j.refuse(flow.Multicast, "%s is a broadcast or multicast address", dst)
	case r.Type == unix.RTN_BLACKHOLE || r.Type == unix.RTN_UNREACHABLE || r.Type == unix.RTN_PROHIBIT || r.Type == unix.RTN_THROW:
		j.refuse(flow.NoRoute, "the route to %s for packets from %s discards them (%s)", dst, by, typeName(r.Type))
	case r.Type != unix.RTN_UNICAST:
		j.refuse(flow.RouteUnsupported, "the route to %s is of type %d", dst, r.Type)
	case r.Encap:
		j.refuse(flow.RouteUnsupported, "the route to %s from %s encapsulates (lightweight tunnel)", dst, src)
	case r.Oif == 0 && !k.FibMatch:
		j.refuse(flow.RouteUnsupported, "the route to %s names no interface", dst)
	default:
		return true
	}
	return false
}

// checkFIB refuses an entry that leaves a choice.
func (a *asker) checkFIB(j *job, k *rtnl.Ask, r *rtnl.Route) bool {
	dst := k.Dst.Netip(k.Family)
	switch {
	case r.Legs > 1:
		j.refuse(flow.Multipath, "the route to %s (%s) has %d nexthops, and which one the kernel takes can't be known without seeing the packet", dst, r.Prefix(), r.Legs)
	case r.Oif == 0 && r.NHID != 0:
		j.refuse(flow.Multipath, "the route to %s (%s) uses nexthop object %d without saying what it holds; set net.%s.nexthop_compat_mode=1", dst, r.Prefix(), r.NHID, k.Family)
	case r.Oif == 0:
		j.refuse(flow.RouteUnsupported, "the route to %s names no interface", dst)
	case r.Tos != 0:
		j.refuse(flow.RouteUnsupported, "the route to %s is for TOS 0x%02x only", dst, r.Tos)
	default:
		return true
	}
	return false
}

// refused puts the kernel's refusal into words.
func (a *asker) refused(j *job, e unix.Errno, k *rtnl.Ask, by string) {
	src, dst := k.Src.Netip(k.Family), k.Dst.Netip(k.Family)
	switch e {
	case unix.EHOSTUNREACH, unix.ENETUNREACH:
		if k.Iif != 0 && !a.forwards(k.Family, k.Iif) {
			j.refuse(flow.NoRoute, "%s forwarding is off on %s", k.Family, by)
			return
		}
		j.refuse(flow.NoRoute, "no route to %s for packets from %s", dst, by)
	case unix.EXDEV:
		j.refuse(flow.Asymmetric, "rp_filter refuses packets from %s that enter by %s", src, by)
	case unix.EACCES:
		j.refuse(flow.NoRoute, "a route or rule prohibits %s for packets from %s", dst, by)
	case unix.EINVAL:
		// Since about Linux 6.14 the input look-up says EINVAL for rp_filter too.
		if k.Iif != 0 && a.rpFilter(k.Family, k.Iif) != 0 {
			j.refuse(flow.Asymmetric, "rp_filter refuses packets from %s that enter by %s, or a blackhole route takes %s", src, by, dst)
			return
		}
		j.refuse(flow.NoRoute, "a blackhole route takes %s, or %s can't be a source on %s", dst, src, by)
	case unix.ENODEV:
		j.refuse(flow.RouteUnobserved, "%s vanished during the look-up", by)
	case unix.EOPNOTSUPP:
		j.refuse(flow.ProtocolUnsupported, "the kernel can't look up protocol %s", hwif.ProtoName(k.Proto))
	case unix.EAGAIN:
		j.refuse(flow.NoRoute, "no route to %s for packets from %s (throw)", dst, by)
	default:
		j.refuse(flow.RouteUnobserved, "the look-up of %s for packets from %s failed: %v", dst, by, e)
	}
}

func typeName(t uint8) string {
	switch t {
	case unix.RTN_BLACKHOLE:
		return "blackhole"
	case unix.RTN_UNREACHABLE:
		return "unreachable"
	case unix.RTN_PROHIBIT:
		return "prohibit"
	}
	return "throw"
}
