package conntrack

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// kernel is a model of what matters of the real one: a table, multicast queues
// that overrun and then stay deaf until they are empty, and a listing whose next
// datagram is walked while the one before is read. Things happen to it at every
// call, as they do on other CPUs.
type kernel struct {
	t       *rapid.T
	table   map[int]entry // by place, which is also the order of a walk
	version uint32
	events  multicast
	spare   multicast
	walk    int // next place, -1 when no listing is under way
	seq     uint32
	queued  [][]byte // datagrams of the listing, walked and not read
	calm    bool     // nothing happens any more
	budget  int
}

type entry struct {
	version uint32 // changes with each event; in CTA_MARK
	silent  bool   // made while there was no listener: no event ever
	dying   bool   // its DESTROY was sent, and it is still in the hash table
}

type multicast struct {
	q         [][]byte
	room      int
	lost, cut bool // cut: S_CONGESTED
}

const places = 5

func (m *multicast) put(b []byte) {
	switch {
	case m.cut:
	case len(m.q) >= m.room:
		m.lost, m.cut = true, true
	default:
		m.q = append(m.q, b)
	}
}

func (m *multicast) recv(n int) ([][]byte, error) {
	if m.lost {
		m.lost = false
		return nil, errLost
	}
	n = min(n, len(m.q))
	out := slices.Clone(m.q[:n])
	m.q = m.q[n:]
	if len(m.q) == 0 {
		m.cut = false
	}
	return out, nil
}

func placeTuple(i int) flow.Tuple {
	return flow.Tuple{Src: hwif.Addr{10, 0, 0, 1}, Dst: hwif.Addr{10, 0, 0, 2}, SrcPort: uint16(1000 + i), DstPort: 80, Proto: hwif.ProtoUDP, Family: hwif.IPv4}
}

func (k *kernel) msg(typ, flags uint16, seq uint32, i int, e entry, status uint32) []byte {
	tup := placeTuple(i)
	rev := tup.Reversed()
	b, at := begin(nil, typ, flags, seq, unix.AF_INET)
	b = appendTuple(b, &tup)
	reply := appendTuple(nil, &rev)
	binary.NativeEndian.PutUint16(reply[2:], ctaTupleReply|nlaNested)
	b = append(b, reply...)
	b = attr32(b, ctaStatus, status|flow.StatusConfirmed)
	b = attr32(b, ctaMark, e.version)
	return end(b, at)
}

func (k *kernel) tell(typ, flags uint16, i int, e entry, status uint32) {
	if e.silent {
		return
	}
	m := k.msg(typ, flags, 0, i, e, status)
	k.events.put(m)
	if typ == typeDelete {
		k.spare.put(m)
	}
}

// happen lets up to three things happen, and budget between two rounds.
func (k *kernel) happen() {
	if k.calm || k.budget <= 0 {
		return
	}
	for range rapid.IntRange(0, 3).Draw(k.t, "things") {
		k.budget--
		i := rapid.IntRange(0, places-1).Draw(k.t, "place")
		e, there := k.table[i]
		k.version++
		switch {
		case e.dying:
			delete(k.table, i)
		case !there:
			e = entry{version: k.version}
			k.table[i] = e
			k.tell(typeNew, unix.NLM_F_CREATE|unix.NLM_F_EXCL, i, e, 0)
		case rapid.Bool().Draw(k.t, "update"):
			e.version = k.version
			k.table[i] = e
			k.tell(typeNew, 0, i, e, 0)
		default:
			k.tell(typeDelete, 0, i, e, flow.StatusDying)
			if rapid.IntRange(0, 3).Draw(k.t, "race") == 0 {
				k.tell(typeNew, 0, i, e, 0)
			}
			if e.dying = true; rapid.Bool().Draw(k.t, "lingers") {
				k.table[i] = e
				continue
			}
			delete(k.table, i)
		}
	}
}

// fill walks one datagram of the listing.
func (k *kernel) fill() {
	if k.walk < 0 {
		return
	}
	var b []byte
	for n := rapid.IntRange(0, 3).Draw(k.t, "walked"); n >= 0 && k.walk < places; n-- {
		if e, ok := k.table[k.walk]; ok {
			var status uint32
			if e.dying {
				status = flow.StatusDying
			}
			b = append(b, k.msg(typeNew, unix.NLM_F_MULTI, k.seq, k.walk, e, status)...)
		}
		k.walk++
	}
	if k.walk == places && len(b) == 0 {
		done, at := begin(nil, nlmsgDoneType, unix.NLM_F_MULTI, k.seq, 0)
		b = end(done, at)
		k.walk = -1
	}
	if len(b) == 0 {
		k.fill()
		return
	}
	k.queued = append(k.queued, b)
}

func (k *kernel) reader(emit func(flow.Event)) *reader {
	r := newReader()
	var clock flow.Time
	wall := time.Unix(1e9, 0)
	r.clock = func() flow.Time { clock++; return clock }
	r.now = func() time.Time { wall = wall.Add(time.Second); return wall }
	r.log, r.count, r.emit, r.own = slog.New(slog.DiscardHandler), new(counters), emit, 77
	many := func(m *multicast) receive {
		return func() ([][]byte, error) {
			k.happen()
			defer k.happen()
			return m.recv(rapid.IntRange(1, 4).Draw(k.t, "read"))
		}
	}
	r.events, r.spare = many(&k.events), many(&k.spare)
	r.request = func(seq uint32) error {
		k.happen()
		k.seq, k.walk = seq, 0
		k.fill()
		k.happen()
		return nil
	}
	r.chunk = func() ([][]byte, error) {
		k.happen()
		if len(k.queued) == 0 {
			return nil, nil
		}
		out := k.queued[:1:1]
		k.queued = k.queued[1:]
		k.fill()
		k.happen()
		return out, nil
	}
	return r
}

// replay is what an engine makes of the events.
type replay struct {
	seen   map[flow.Tuple]flow.Conn
	synced int
	doubt  bool
}

func (p *replay) emit(e flow.Event) {
	switch e := e.(type) {
	case flow.Conns:
		for _, c := range e {
			if c.Kind == flow.ConnDestroy {
				delete(p.seen, c.Entry.Orig)
			} else {
				p.seen[c.Entry.Orig] = c
			}
		}
	case flow.Loss:
		p.doubt = true
	case flow.Synced:
		p.synced++
		p.doubt = false
		for t, c := range p.seen {
			if c.At < e.Begin {
				delete(p.seen, t)
			}
		}
	}
}

// diff compares the replay with the table.
func (k *kernel) diff(p *replay) string {
	for i := range places {
		e, there := k.table[i]
		there = there && !e.dying
		c, seen := p.seen[placeTuple(i)]
		switch {
		case there && !seen:
			return fmt.Sprintf("place %d lives as version %d and is not known", i, e.version)
		case seen && !there:
			return fmt.Sprintf("place %d is dead and known as version %d (%v)", i, c.Entry.Mark, c.Kind)
		case seen && c.Entry.Mark != e.version:
			return fmt.Sprintf("place %d is version %d and known as %d (%v)", i, e.version, c.Entry.Mark, c.Kind)
		}
	}
	return ""
}

// TestOrderTellsTheTruth: whatever happens between any two calls, once all
// events are read the replay is the kernel's table. Late UPDATEs, listings that
// are older than the events read meanwhile, dying entries in listings, and
// losses at any moment included.
func TestOrderTellsTheTruth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := &kernel{t: t, table: make(map[int]entry), walk: -1}
		k.events.room = rapid.SampledFrom([]int{1 << 20, 40, 8}).Draw(t, "room")
		k.spare.room = rapid.SampledFrom([]int{1 << 20, 8}).Draw(t, "spare room")
		silent := false // some entries never tell, so only a listing brings the truth
		for i := range places {
			if rapid.IntRange(0, 7).Draw(t, "born before") == 7 {
				silent = true
				k.version++
				k.table[i] = entry{version: k.version, silent: true}
			}
		}
		p := &replay{seen: make(map[flow.Tuple]flow.Conn)}
		r := k.reader(p.emit)
		for range rapid.IntRange(1, 60).Draw(t, "rounds") {
			if rapid.IntRange(0, 5).Draw(t, "relist") == 0 {
				r.wish = true
			}
			k.budget = 12
			if _, _, err := r.round(); err != nil {
				t.Fatal(err)
			}
			if rapid.IntRange(0, 9).Draw(t, "look") == 0 {
				k.calm = true
				settleModel(t, r, false)
				if d := k.diff(p); d != "" && !p.doubt && p.synced > 0 && !silent {
					t.Fatalf("with all events read: %s", d)
				}
				k.calm = false
			}
		}
		k.calm = true
		if silent {
			r.wish = true
		}
		settleModel(t, r, true)
		if d := k.diff(p); d != "" || p.doubt || p.synced == 0 {
			t.Fatalf("after the last listing: %s doubt %v", d, p.doubt)
		}
	})
}

// settleModel runs rounds until there is nothing left to do.
func settleModel(t *rapid.T, r *reader, whole bool) {
	for range 10000 {
		idle, _, err := r.round()
		if err != nil {
			t.Fatal(err)
		}
		if idle && (!whole || !r.wish && !r.list.on) {
			return
		}
	}
	t.Fatal("never comes to rest")
}
