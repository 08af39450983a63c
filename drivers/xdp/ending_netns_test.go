//go:build netns

package xdp

import (
	"testing"
	"time"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/hwiftest"
)

// TestEndingHoldsBothDirections: the FIN of one side leaves the other side's
// segments to the kernel too, since conntrack has to see the last ACK; another
// connection goes on.
func TestEndingHoldsBothDirections(t *testing.T) {
	eachMode(t, func(t *testing.T, mode Mode) {
		w := newWires(t, wireOptions{})
		d := w.device(mode)
		tap := w.tap()
		there, back := w.flow(hwif.ProtoTCP), w.flow(hwif.ProtoTCP)
		back.In, back.Out = w.ports[1], w.ports[0]
		other := w.flow(hwif.ProtoTCP)
		other.N = 2
		installAll(t, d, there.Rule(hwif.NewCookie(7, 0)), back.Rule(hwif.NewCookie(7, 1)), other.Rule(hwif.NewCookie(8, 0)))
		plain := back.Frame().MustBuild()
		wantVerdict(t, "before", tap.inject(back.In.Ifindex, plain), hwiftest.Forwarded)

		fin := there.Frame()
		fin.Flags |= hwif.TCPFin
		held := false
		for range 20 { // the machine may sleep through the hold
			wantVerdict(t, "FIN", tap.inject(there.In.Ifindex, fin.MustBuild()), hwiftest.ToKernel)
			if held = tap.inject(back.In.Ifindex, plain).Verdict == hwiftest.ToKernel; held {
				break
			}
		}
		if !held {
			t.Error("after a FIN the other direction is not left to the kernel")
		}
		wantVerdict(t, "another connection", tap.inject(other.In.Ifindex, other.Frame().MustBuild()), hwiftest.Forwarded)
		time.Sleep(testHold)
		wantVerdict(t, "after the hold", tap.inject(back.In.Ifindex, plain), hwiftest.Forwarded)
	})
}
