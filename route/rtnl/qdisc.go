package rtnl

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

const tcmsgLen = 20 // struct tcmsg: family 1, pad 3, ifindex 4, handle 4, parent 4, info 4

// Parents of qdiscs (include/uapi/linux/pkt_sched.h). clsact has ingress's.
const (
	tcHRoot    = 0xffffffff // TC_H_ROOT
	tcHIngress = 0xfffffff1 // TC_H_INGRESS
)

const (
	tcaKind          = 1 // TCA_KIND
	tcaOptions       = 2 // TCA_OPTIONS
	tcaFQFlowMaxRate = 7 // TCA_FQ_FLOW_MAX_RATE
	fqNoMaxRate      = 0xffffffff
)

// Qdiscs that only queue, and those of an interface without one: what hardware
// sends past them would have been sent all the same. Two of them can't be told by
// their kind: below mq lies one for each queue, and fq may have a maxrate.
var plainQdiscs = map[string]bool{"": true, "noop": true, "noqueue": true, "mq": true, "pfifo_fast": true, "pfifo": true,
	"bfifo": true, "fq": true, "fq_codel": true, "pfifo_head_drop": true}

// Deep reports whether the root qdisc's kind does not say if anything holds back: no
// message about the interface does, and Shaper is read from its qdiscs.
func (l *Link) Deep() bool { return l.Qdisc == "mq" || l.Qdisc == "fq" }

// QdiscOf reads a struct tcmsg and gives the interface of which it tells a qdisc on
// the way out. ok is false for those on the way in.
func QdiscOf(b []byte) (i hwif.Ifindex, ok bool) {
	if len(b) < tcmsgLen {
		return 0, false
	}
	return hwif.Ifindex(ne.Uint32(b[4:])), ne.Uint32(b[12:]) != tcHIngress
}

// parseShaper gives the interface of a qdisc, and its kind when it may hold back,
// reorder by class or drop; else that is empty.
func parseShaper(b []byte) (i hwif.Ifindex, kind string) {
	i, ok := QdiscOf(b)
	if !ok {
		return i, ""
	}
	paced := false
	for typ, v := range attrs(b[tcmsgLen:]) {
		switch typ {
		case tcaKind:
			kind = cstring(v)
		case tcaOptions:
			for typ, v := range attrs(v) {
				// Another kind's option of this number is looked at in vain.
				paced = paced || typ == tcaFQFlowMaxRate && len(v) == 4 && u32(v) != fqNoMaxRate
			}
		}
	}
	if plainQdiscs[kind] && !(kind == "fq" && paced) {
		kind = ""
	}
	return i, kind
}

// shapers lists the interfaces with a qdisc that holds back, wherever in the tree it
// is; of several kinds the first by name, so that the order of the listing is no change.
//
// One interface's can't be asked for: the kernel lists those of all (tc_dump_qdisc),
// and some announce a request for a single one to every listener (qdisc_notify).
func (c *Conn) shapers() (map[hwif.Ifindex]string, error) {
	out := map[hwif.Ifindex]string{}
	err := c.Dump(unix.RTM_GETQDISC, make([]byte, tcmsgLen), func(m Msg) {
		i, kind := parseShaper(m.Body)
		if was, had := out[i]; kind != "" && (!had || kind < was) {
			out[i] = kind
		}
	})
	if errors.Is(err, unix.EOPNOTSUPP) { // a kernel without CONFIG_NET_SCHED has mq all the same
		return nil, nil
	}
	return out, err
}
