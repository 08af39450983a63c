//go:build netns

package conntrack

import (
	"net"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif/flow"
)

// established gives a TCP connection through the router as the kernel has it.
func (l *lab) established(tr *Tracker, to string) (net.Conn, flow.Entry) {
	l.t.Helper()
	c, tup := l.dial("tcp", to)
	say(l.t, c, "hello")
	e := l.get(tr, tup)
	if e.TCPState != flow.TCPEstablished {
		l.t.Fatalf("state %v after a hello", e.TCPState)
	}
	return c, e
}

func (l *lab) get(tr *Tracker, tup flow.Tuple) flow.Entry {
	l.t.Helper()
	e, ok, err := tr.Get(tup)
	if err != nil || !ok {
		l.t.Fatalf("Get %v: %v %v", tup, ok, err)
	}
	return e
}

// write changes an entry as a stranger would, from a socket of its own. Zero
// leaves a thing alone.
func (l *lab) write(tup flow.Tuple, timeout uint32, state flow.TCPState, mark uint32) {
	l.t.Helper()
	var k *talk
	var err error
	in(l.t, l.router, func() { k, err = newTalk() })
	if err != nil {
		l.t.Fatal(err)
	}
	defer k.close()
	k.reset()
	b, at := begin(k.req, typeNew, unix.NLM_F_REQUEST|unix.NLM_F_ACK, k.next(), addressFamily(tup.Family))
	b = appendTuple(b, &tup)
	if timeout != 0 {
		b = attr32(b, ctaTimeout, timeout)
	}
	if state != 0 {
		var info, tcp int
		b, info = nest(b, ctaProtoinfo)
		b, tcp = nest(b, ctaProtoinfoTCP)
		b = attr(b, ctaProtoinfoTCPState, byte(state))
		b = endNest(endNest(b, tcp), info)
	}
	if mark != 0 {
		b = attr32(b, ctaMark, mark)
	}
	k.req = end(b, at)
	if err := k.do(func(int, []byte) {}); err != nil || k.errs[0] != nil {
		l.t.Fatal(err, k.errs[0])
	}
}

func (tp *tape) prepared(id flow.ID) (p flow.Prepared, ok bool) {
	tp.each(func(e flow.Event) {
		if x, is := e.(flow.Prepared); is && x.ID == id {
			p, ok = x, true
		}
	})
	return p, ok
}

func prepareOf(id flow.ID, e flow.Entry, timeout uint32) flow.Prepare {
	return flow.Prepare{ID: id, Gen: uint64(id) * 10, Orig: e.Orig, Reply: e.Reply, EntryID: e.ID, Timeout: timeout}
}

// Prepare must leave TCP lenient and without a reason for a short time-out, and
// say no to whatever is not the entry that was meant.
func TestPrepare(t *testing.T) {
	l := newLab(t)
	l.listen(":8000")
	tr := l.open(Options{SetEvents: true})
	c, e := l.established(tr, "10.78.1.100:8000")
	_, closing := l.established(tr, "10.78.1.2:8000")
	l.write(e.Orig, 77, 0, 0)
	if e = l.get(tr, e.Orig); e.Timeout > 77 || e.TCPFlags[0]&tcpBeLiberal != 0 {
		t.Fatalf("set-up: %+v", e)
	}
	l.write(closing.Orig, 0, flow.TCPFinWait, 0)
	silent, _ := l.dial("udp", "10.78.1.100:8000")
	silent.Write([]byte("x"))
	udp := l.get(tr, tupleOf("udp", silent.LocalAddr().String(), "10.78.1.100:8000"))

	tp := l.run(tr)
	tp.until("first listing", func() bool { return tp.synced() == 1 })
	before := len(tp.conns(e.Orig))

	full := tr.Timeouts()
	other := prepareOf(3, e, full.TCPEstablished)
	other.EntryID++
	moved := prepareOf(4, e, full.TCPEstablished)
	moved.Reply.SrcPort++
	absent := prepareOf(5, e, full.TCPEstablished)
	absent.Orig.SrcPort = 1
	tr.Prepare([]flow.Prepare{prepareOf(1, e, full.TCPEstablished), prepareOf(2, closing, full.TCPEstablished), other, moved, absent,
		prepareOf(6, e, 0), prepareOf(7, udp, full.UDPStream)})
	tp.until("seven answers", func() bool { _, ok := tp.prepared(7); return ok })

	good, _ := tp.prepared(1)
	if good.Gone || good.Err != "" || good.Gen != 10 || good.Entry.ID != e.ID {
		t.Errorf("Prepared %+v", good)
	}
	for _, got := range []flow.Entry{good.Entry, l.get(tr, e.Orig)} {
		if got.TCPFlags[0]&tcpReadyMask != tcpBeLiberal || got.TCPFlags[1]&tcpReadyMask != tcpBeLiberal {
			t.Errorf("tcp flags %#x", got.TCPFlags)
		}
		if got.Timeout < full.TCPEstablished-5 {
			t.Errorf("time-out %d, want about %d", got.Timeout, full.TCPEstablished)
		}
	}
	if p, _ := tp.prepared(2); p.Gone || !strings.Contains(p.Err, "FIN_WAIT") {
		t.Errorf("a closing connection: %+v", p)
	}
	for id := flow.ID(3); id <= 5; id++ {
		if p, _ := tp.prepared(id); !p.Gone {
			t.Errorf("%d is not what was meant: %+v", id, p)
		}
	}
	if p, _ := tp.prepared(6); p.Err == "" {
		t.Errorf("time-out 0: %+v", p)
	}
	if p, _ := tp.prepared(7); p.Err != "" || p.Gone || p.Entry.Timeout < full.UDPStream-5 {
		t.Errorf("udp: %+v", p)
	}

	// Our own writes were announced to us as to everybody, and kept back.
	tp.until("own updates to be read", func() bool { return tr.Stats().Own >= 2 })
	if cs := tp.conns(e.Orig); len(cs) != before {
		t.Errorf("own change came out: %s", kinds(cs))
	}
	say(t, c, "still here")
	if s := tr.Stats(); s.Prepares != 7 || s.PrepareGone != 3 || s.PrepareErrors != 2 {
		t.Errorf("stats %+v", s)
	}
}

// Somebody else's change of the same kind does come out.
func TestForeignChangeIsTold(t *testing.T) {
	l := newLab(t)
	l.listen(":8000")
	tr := l.open(Options{SetEvents: true})
	tp := l.run(tr)
	tp.until("first listing", func() bool { return tp.synced() == 1 })
	_, e := l.established(tr, "10.78.1.2:8000")
	l.write(e.Orig, 0, 0, 5)
	tp.until("the mark", func() bool {
		cs := tp.conns(e.Orig)
		return len(cs) > 0 && cs[len(cs)-1].Kind == flow.ConnUpdate && cs[len(cs)-1].Entry.Mark == 5
	})
	if own := tr.Stats().Own; own != 0 {
		t.Errorf("own = %d", own)
	}
}

// A refresh raises, a release lowers, neither does the other's work, and
// nothing is written that need not be.
func TestTouch(t *testing.T) {
	l := newLab(t)
	l.listen(":8000")
	tr := l.open(Options{SetEvents: true})
	tp := l.run(tr)
	_, e := l.established(tr, "10.78.1.2:8000")
	full := tr.Timeouts().TCPEstablished
	touch := func(timeout uint32, release bool) flow.Entry {
		t.Helper()
		before := tr.Stats()
		tr.Touch([]flow.Touch{{Orig: e.Orig, EntryID: e.ID, Timeout: timeout, Release: release}})
		tp.until("the touch", func() bool { return tr.Stats().Touches > before.Touches })
		return l.get(tr, e.Orig)
	}
	near := func(what string, got, want uint32) {
		t.Helper()
		if got > want || got+5 < want {
			t.Errorf("%s: time-out %d, want about %d", what, got, want)
		}
	}

	l.write(e.Orig, 77, 0, 0)
	near("refresh", touch(full, false).Timeout, full)
	writes := tr.Stats().TouchWrites
	near("lower refresh", touch(100, false).Timeout, full)
	if got := tr.Stats().TouchWrites; got != writes {
		t.Errorf("a needless refresh wrote")
	}
	if got := l.get(tr, e.Orig).TCPFlags; got[0]&tcpBeLiberal != 0 {
		t.Errorf("a refresh touched the tcp flags: %#x", got)
	}
	got := touch(1000, true)
	near("release", got.Timeout, 1000)
	if got.TCPFlags[0]&tcpReadyMask != tcpBeLiberal || got.TCPFlags[1]&tcpReadyMask != tcpBeLiberal {
		t.Errorf("tcp flags after release %#x", got.TCPFlags)
	}
	near("release with more", touch(full, true).Timeout, 1000)

	l.write(e.Orig, 20, flow.TCPTimeWait, 0)
	near("refresh of a closing one", touch(full, false).Timeout, 20)

	tr.Touch([]flow.Touch{{Orig: e.Orig, EntryID: e.ID + 1, Timeout: full}})
	l.hush()
	l.ct("-D -p tcp")
	tr.Touch([]flow.Touch{{Orig: e.Orig, EntryID: e.ID, Timeout: full}})
	tp.until("two that are gone", func() bool { return tr.Stats().TouchGone == 2 })
	if s := tr.Stats(); s.TouchErrors != 0 {
		t.Errorf("stats %+v", s)
	}
}
