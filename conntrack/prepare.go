package conntrack

import (
	"github.com/shunt-offload/shunt/hwif/flow"
)

// prepare makes up to batchMax entries ready: GET, change, GET, for all of them
// together. The time-out is raised to what is asked and never lowered: a longer
// one is a policy of the ruleset's (nft ct timeout).
func (k *keeper) prepare(ps []flow.Prepare) error {
	n := len(ps)
	tuple := func(i int) *flow.Tuple { return &ps[i].Orig }
	if err := k.get(n, false, tuple); err != nil {
		return err
	}
	for i := range n {
		k.judge(i, &ps[i], false)
	}
	_, err := k.change(n, tuple, func(i int) change {
		c := change{liberal: isTCP(&k.got[i])}
		if k.got[i].Timeout < ps[i].Timeout {
			c.timeout = ps[i].Timeout
		}
		return c
	})
	if err != nil {
		return err
	}
	if err := k.get(n, true, tuple); err != nil {
		return err
	}
	for i := range n {
		k.judge(i, &ps[i], true)
		k.answer(i, &ps[i])
	}
	return nil
}

// judge compares what was read with what was meant; after says that the change
// has been made and must show.
func (k *keeper) judge(i int, p *flow.Prepare, after bool) {
	if k.state[i] != fine {
		return
	}
	e := &k.got[i]
	say := func(text string) { k.state[i], k.text[i] = wrong, text }
	switch {
	case e.Orig != p.Orig || e.Reply != p.Reply || e.ID != p.EntryID, e.Status&flow.StatusDying != 0:
		k.state[i] = gone
	case p.Timeout == 0:
		say("a time-out of 0 s would end the entry")
	case e.Status&flow.StatusFixedTimeout != 0:
		say("the entry's time-out is fixed and cannot be kept up")
	case e.Status&(flow.StatusOffload|flow.StatusHWOffload) != 0:
		say("the entry is in a flowtable of the kernel's")
	case isTCP(e) && (e.Has&flow.HasTCP == 0 || e.TCPState != flow.TCPEstablished):
		say("tcp state is " + e.TCPState.String() + ", not ESTABLISHED")
	case after && isTCP(e) && e.TCPFlags[flow.Orig]&e.TCPFlags[flow.Reply]&tcpBeLiberal == 0:
		say("the kernel did not take be_liberal")
	}
}

func (k *keeper) answer(i int, p *flow.Prepare) {
	out := flow.Prepared{ID: p.ID, Gen: p.Gen}
	k.count.prepares.Add(1)
	switch k.state[i] {
	case fine:
		out.Entry = k.got[i]
	case gone:
		out.Gone = true
		k.count.prepareGone.Add(1)
	default:
		out.Err = k.text[i]
		k.count.prepareErrors.Add(1)
	}
	k.emit(out)
}
