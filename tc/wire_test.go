package tc

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

// told is a message of a terse dump as the kernel builds it (cls_flower.c:
// fl_terse_dump): kind, chain, options with flags and, per action, kind, statistics
// and cookie.
func told(prio uint16, handle uint32, c hwif.Cookie, n hwif.Counter, wide bool) []byte {
	b := tcmsg(nil, &Place{Ifindex: 3, Prio: prio}, handle, etherAll)
	b = attrString(b, tcaKind, "flower")
	b = attrU32(b, tcaChain, 0)
	b, opts := nest(b, tcaOptions)
	b = attrU32(b, flowerFlags, uint32(SkipSW|InHW))
	b, acts := nest(b, flowerAct)
	for i, name := range []string{"pedit", "mirred"} {
		var one, stats int
		b, one = nest(b, uint16(i+1))
		b = attrString(b, actKind, name)
		b, stats = nest(b, actStats)
		basic := func(typ uint16) {
			b = attrHead(b, typ, 16)
			b = ne.AppendUint64(b, n.Bytes)
			b = ne.AppendUint32(b, uint32(n.Packets))
			b = append(b, 0, 0, 0, 0)
			if wide {
				b = ne.AppendUint64(attrHead(b, statsPkt64, 8), n.Packets)
			}
		}
		basic(statsBasic)
		basic(statsBasicHW)
		b = unnest(b, stats)
		if name == "mirred" {
			b = attrBytes(b, actCookie, c[:])
		}
		b = unnest(b, one)
	}
	b = unnest(b, acts)
	return unnest(b, opts)
}

func TestTally(t *testing.T) {
	c := hwif.NewCookie(77, 1)
	for _, wide := range []bool{false, true} {
		n := hwif.Counter{Packets: 5, Bytes: 700}
		if wide {
			n.Packets = 1<<32 + 5 // more than the old field holds
		}
		var got Tally
		msg := told(11, 9, c, n, wide)
		if !tally(msg, &got) || got != (Tally{Prio: 11, Handle: 9, Flags: SkipSW | InHW, Cookie: c, Counter: n}) {
			t.Errorf("wide %v: %+v", wide, got)
		}
		for cut := range msg {
			var got Tally
			tally(msg[:cut], &got) // must end, and not panic
		}
		if n := testing.AllocsPerRun(100, func() { tally(msg, &got) }); n != 0 {
			t.Errorf("%.0f allocations per tally", n)
		}
	}
}

// The kernel's answers: number and text, whole and capped, and cut anywhere.
func TestVerdict(t *testing.T) {
	answer := func(errno unix.Errno, flags uint16, echoed int, text string) message {
		code := -int32(errno)
		b := ne.AppendUint32(nil, uint32(code))
		b = ne.AppendUint32(b, uint32(sizeofNlmsghdr+echoed))
		b = append(b, make([]byte, sizeofNlmsghdr-4)...)
		if flags&unix.NLM_F_CAPPED == 0 {
			b = append(b, make([]byte, echoed)...)
		}
		if text != "" {
			b = attrString(b, unix.NLMSGERR_ATTR_MSG, text)
		}
		return message{typ: unix.NLMSG_ERROR, flags: flags, body: b}
	}
	for name, c := range map[string]struct {
		m     message
		errno unix.Errno
		text  string
	}{
		"ack":          {answer(0, unix.NLM_F_CAPPED, 600, ""), 0, ""},
		"bare error":   {answer(unix.EEXIST, unix.NLM_F_CAPPED, 600, ""), unix.EEXIST, ""},
		"with text":    {answer(unix.EOPNOTSUPP, unix.NLM_F_CAPPED|unix.NLM_F_ACK_TLVS, 600, "no way"), unix.EOPNOTSUPP, "no way"},
		"with request": {answer(unix.EINVAL, unix.NLM_F_ACK_TLVS, 44, "behind the request"), unix.EINVAL, "behind the request"},
	} {
		if errno, text := verdict(c.m); errno != c.errno || text != c.text {
			t.Errorf("%s: %v %q", name, errno, text)
		}
		for cut := range c.m.body {
			verdict(message{flags: c.m.flags, body: c.m.body[:cut]})
		}
	}
	if errno, _ := verdict(message{body: []byte{1, 2}}); errno != unix.EPROTO {
		t.Errorf("two bytes: %v", errno)
	}
}

func TestMessagesStopAtTheMalformed(t *testing.T) {
	one, _ := header(nil, rtmNewFilter, 0, 7)
	one = finish(append(one, 1, 2, 3, 4), 0)
	for name, tail := range map[string][]byte{"none": nil, "short": {1, 2, 3}, "length 0": make([]byte, 16), "too long": {200, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}} {
		n := 0
		for m := range messages(append(bytes.Clone(one), tail...)) {
			if n++; m.seq != 7 || len(m.body) != 4 {
				t.Errorf("%s: %+v", name, m)
			}
		}
		if n != 1 {
			t.Errorf("%s: %d messages, want the one that is whole", name, n)
		}
	}
}

// Only the last message of a batch asks for an answer; failures answer anyway.
func TestAskLast(t *testing.T) {
	var c Conn
	for seq := range uint32(3) {
		f := Filter{Place: Place{Ifindex: 3, Prio: 1}, Handle: seq + 1, Protocol: etherAll}
		c.write.buf = appendByHandle(c.write.buf, rtmDelFilter, flagEcho, seq, &f)
	}
	c.askLast()
	for m := range messages(c.write.buf) {
		if (m.flags&flagAck != 0) != (m.seq == 2) {
			t.Errorf("message %d: flags %#x", m.seq, m.flags)
		}
	}
}

func FuzzTally(f *testing.F) {
	f.Add(told(11, 9, hwif.NewCookie(1, 0), hwif.Counter{Packets: 1 << 40, Bytes: 1}, true))
	f.Fuzz(func(t *testing.T, b []byte) {
		var got Tally
		if tally(b, &got) && got.Handle == 0 {
			t.Error("a tally of nobody")
		}
	})
}

func BenchmarkTally(b *testing.B) {
	msg := told(11, 9, hwif.NewCookie(1, 0), hwif.Counter{Packets: 3, Bytes: 300}, false)
	var got Tally
	b.ReportAllocs()
	for b.Loop() {
		tally(msg, &got)
	}
}
