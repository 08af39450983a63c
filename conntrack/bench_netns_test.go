//go:build netns

package conntrack

import (
	"log/slog"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// backlog is how many events are queued before one is read: what the default
// buffer holds is 100 000.
const backlog = 60000

// create makes n UDP entries, batch by batch.
func create(b *testing.B, k *talk, n int) {
	for at := 0; at < n; {
		k.reset()
		for range batchMax {
			if at == n {
				break
			}
			t := flow.Tuple{Src: hwif.Addr{10, 1, byte(at >> 16), byte(at >> 8)}, Dst: hwif.Addr{10, 2, 0, 1},
				SrcPort: uint16(at) + 1, DstPort: 53, Proto: hwif.ProtoUDP, Family: hwif.IPv4}
			at++
			rev := t.Reversed()
			req, head := begin(k.req, typeNew, unix.NLM_F_REQUEST|unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_EXCL, k.next(), unix.AF_INET)
			req = appendTuple(req, &t)
			reply := len(req)
			req = appendTuple(req, &rev)
			req[reply+2] = ctaTupleReply
			req = attr32(req, ctaTimeout, 600)
			k.req = end(req, head)
		}
		if err := k.do(func(int, []byte) {}); err != nil {
			b.Fatal(err)
		}
		for i := range k.n {
			if k.errs[i] != nil {
				b.Fatal(k.errs[i])
			}
		}
	}
}

// BenchmarkSocketToStruct drains a backlog of NEW events from the socket to
// emitted batches.
func BenchmarkSocketToStruct(b *testing.B) {
	const ns = "ctk-bench"
	if out, err := exec.Command("ip", "netns", "add", ns).CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	b.Cleanup(func() { exec.Command("ip", "netns", "del", ns).Run() })
	var tr *Tracker
	var k *talk
	var err, err2 error
	in(b, ns, func() { tr, err = Open(Options{SetEvents: true}); k, err2 = newTalk() })
	if err != nil || err2 != nil {
		b.Fatal(err, err2)
	}
	defer tr.Close()
	defer k.close()
	if err := tr.events.join(unix.NFNLGRP_CONNTRACK_NEW); err != nil {
		b.Fatal(err)
	}
	r := tr.newReader()
	got := 0
	r.emit = func(e flow.Event) { got += len(e.(flow.Conns)) }
	r.log = slog.New(slog.DiscardHandler)
	b.ReportAllocs()
	b.ResetTimer()
	runtime.LockOSThread() // the clock below is the thread's
	defer runtime.UnlockOSThread()
	var busy time.Duration
	for range b.N {
		b.StopTimer()
		create(b, k, backlog)
		got = 0
		b.StartTimer()
		start := cpuTime(b)
		if err := drainAll(r); err != nil {
			b.Fatal(err)
		}
		busy += cpuTime(b) - start
		b.StopTimer()
		if got != backlog || tr.Stats().Losses != 0 {
			b.Fatalf("%d of %d events, stats %+v", got, backlog, tr.Stats())
		}
		flushTable(b, k)
		b.StartTimer()
	}
	b.ReportMetric(float64(busy.Nanoseconds())/float64(b.N*backlog), "cpu-ns/event")
}

// cpuTime is what this thread has used, so that other work on the machine does
// not count.
func cpuTime(b *testing.B) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		b.Fatal(err)
	}
	return time.Duration(ts.Nano())
}

func drainAll(r *reader) error {
	for {
		if empty, err := r.drain(); empty || err != nil {
			return err
		}
	}
}

func flushTable(b *testing.B, k *talk) {
	k.reset()
	req, at := begin(k.req, typeDelete, unix.NLM_F_REQUEST|unix.NLM_F_ACK, k.next(), unix.AF_UNSPEC)
	k.req = end(req, at)
	if err := k.do(func(int, []byte) {}); err != nil || k.errs[0] != nil {
		b.Fatal(err, k.errs[0])
	}
}

// BenchmarkTouch reads, judges and refreshes entries by the batch.
func BenchmarkTouch(b *testing.B) {
	const ns = "ctk-bench-touch"
	if out, err := exec.Command("ip", "netns", "add", ns).CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	b.Cleanup(func() { exec.Command("ip", "netns", "del", ns).Run() })
	var tr *Tracker
	var err error
	in(b, ns, func() { tr, err = Open(Options{SetEvents: true}) })
	if err != nil {
		b.Fatal(err)
	}
	defer tr.Close()
	create(b, tr.write, batchMax)
	k := &keeper{talk: tr.write, count: &tr.count}
	var ts []flow.Touch
	for i := range batchMax {
		t := flow.Tuple{Src: hwif.Addr{10, 1, 0, 0}, Dst: hwif.Addr{10, 2, 0, 1}, SrcPort: uint16(i) + 1, DstPort: 53, Proto: hwif.ProtoUDP, Family: hwif.IPv4}
		e, ok, err := tr.Get(t)
		if err != nil || !ok {
			b.Fatal(ok, err)
		}
		ts = append(ts, flow.Touch{Orig: e.Orig, EntryID: e.ID, Timeout: 1000})
	}
	b.ReportAllocs()
	timeout := uint32(1000)
	for b.Loop() {
		timeout++ // always a little more than the kernel has, so that each is written
		for i := range ts {
			ts[i].Timeout = timeout
		}
		if err := k.touch(ts); err != nil {
			b.Fatal(err)
		}
	}
	if tr.Stats().TouchGone+tr.Stats().TouchErrors != 0 {
		b.Fatalf("%+v", tr.Stats())
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batchMax), "ns/touch")
}
