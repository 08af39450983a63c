//go:build netns

package xdp

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/hwiftest"
)

// Rules come and go while frames of all of them are under way on several queues.
// The kernel gives a removed rule's memory to the next one at once; a frame that
// was looking at it must not be treated by the new rule. Each flow's frames carry
// its number, and each rule's MAC names the flow that it is for.
func TestReuseUnderLoad(t *testing.T) {
	eachMode(t, func(t *testing.T, mode Mode) {
		w := newWires(t, wireOptions{ports: 2, queues: 2})
		d := w.open(hwif.OpenOptions{MaxRules: 4, Settings: map[string]string{"mode": string(mode)}})
		defer func() { must(t, d.Close(true), "close") }()
		const flows = 8
		var rules [flows]hwif.Rule
		var frames [flows][]byte
		for i := range rules {
			f := hwiftest.Flow{N: i, Family: hwif.IPv4, Proto: hwif.ProtoUDP, NAT: hwiftest.NAT(i), In: w.ports[0], Out: w.ports[1]}
			rules[i] = f.Rule(hwif.NewCookie(uint64(i), 0))
			rules[i].Actions.EthDst[5] = byte(i)
			s := f.Frame()
			s.Payload = make([]byte, 40)
			for k := range s.Payload {
				s.Payload[k] = byte(i)
			}
			frames[i] = s.MustBuild()
		}
		var stop atomic.Bool
		var wg sync.WaitGroup
		for n := range 2 {
			s := w.socket(w.peers, "e0")
			wg.Go(func() {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				for i := n; !stop.Load(); i++ {
					if err := s.send(frames[i%flows]); err != nil {
						t.Errorf("send: %v", err)
						return
					}
				}
			})
		}
		var got, wrong atomic.Uint64
		sink := w.socket(w.peers, "e1")
		wg.Go(func() {
			for !stop.Load() {
				wait(10*time.Millisecond, sink)
				for f := next(sink); f != nil && !stop.Load(); f = next(sink) {
					got.Add(1)
					if f[5] != f[len(f)-1] {
						wrong.Add(1)
					}
				}
			}
		})
		apply := func(ops ...hwif.Op) {
			results := make([]hwif.Result, len(ops))
			d.Apply(context.Background(), ops, results)
			for i, r := range results {
				if r.Err != nil {
					t.Errorf("%s: %v", ops[i].Kind, r.Err)
				}
			}
		}
		turns := 0
		for end := time.Now().Add(2 * time.Second); time.Now().Before(end); turns++ {
			a, b := turns%flows, (turns+1)%flows
			if turns == 0 {
				apply(hwif.Op{Kind: hwif.OpInstall, Rule: rules[a]})
			}
			time.Sleep(2 * time.Millisecond) // let the rule forward
			apply(hwif.Op{Kind: hwif.OpRemove, Rule: rules[a]}, hwif.Op{Kind: hwif.OpInstall, Rule: rules[b]})
		}
		stop.Store(true)
		wg.Wait()
		t.Logf("%d turns, %d frames forwarded", turns, got.Load())
		if got.Load() == 0 || wrong.Load() != 0 {
			t.Errorf("%d of %d frames were treated by another flow's rule", wrong.Load(), got.Load())
		}
	})
}
