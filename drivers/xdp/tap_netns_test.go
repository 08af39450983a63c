//go:build netns

package xdp

import (
	"bytes"
	"fmt"
	"time"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/hwiftest"
)

// tap looks at all peers and at the router's ports.
type tap struct {
	w         *wires
	far, near map[hwif.Ifindex]*packetSocket
	all       []*packetSocket
	number    uint64 // of the latest marker
}

func (w *wires) tap() *tap {
	p := &tap{w: w, far: map[hwif.Ifindex]*packetSocket{}, near: map[hwif.Ifindex]*packetSocket{}}
	for i, port := range w.ports {
		p.far[port.Ifindex] = w.socket(w.peers, fmt.Sprintf("e%d", i))
		p.near[port.Ifindex] = w.socket(w.router, port.Name)
		p.all = append(p.all, p.far[port.Ifindex], p.near[port.Ifindex])
	}
	return p
}

// next gives the next frame at s that is not a probe of ours, or nil.
func next(s *packetSocket) []byte {
	for {
		f, err := s.recv()
		if f == nil && err == nil {
			return nil
		}
		// A port that was deleted says ENETDOWN, once.
		if err == nil && !(len(f) >= 14 && f[12] == probeEtherType>>8 && f[13] == probeEtherType&0xff) {
			return f
		}
	}
}

// marker is a frame that no rule means, with a number in it.
func (p *tap) marker() []byte {
	p.number++
	m := make([]byte, 60)
	copy(m, []byte{2, 0, 0, 0, 0xbb, 1, 2, 0, 0, 0, 0xbb, 2, 0x88, 0xb6})
	for i := range 8 {
		m[20+i] = byte(p.number >> (8 * i))
	}
	return m
}

// inject sends by the peer of a port. A marker that follows on the same wire says
// when the frame is through.
func (p *tap) inject(port hwif.Ifindex, frame []byte) hwiftest.Out {
	return p.injectBy(port, p.far[port].send, frame)
}

func (p *tap) injectBy(port hwif.Ifindex, send func([]byte) error, frame []byte) hwiftest.Out {
	t := p.w.t
	for _, s := range p.all {
		for next(s) != nil {
		}
	}
	mark := p.marker()
	must(t, send(frame), "send")
	must(t, p.far[port].send(mark), "send marker")
	out := hwiftest.Out{Verdict: hwiftest.Dropped}
	found, through := 0, false
	look := func(until func() bool, d time.Duration) {
		for end := time.Now().Add(d); !until() && time.Now().Before(end); {
			wait(20*time.Millisecond, p.all...)
			for i, s := range p.far {
				for f := next(s); f != nil; f = next(s) {
					out, found = hwiftest.Out{Verdict: hwiftest.Forwarded, Port: i, Frame: f}, found+1
				}
			}
			for f := next(p.near[port]); f != nil; f = next(p.near[port]) {
				if bytes.Equal(f, mark) {
					through = true
					continue
				}
				out, found = hwiftest.Out{Verdict: hwiftest.ToKernel, Frame: f}, found+1
			}
		}
	}
	look(func() bool { return through }, 5*time.Second)
	if !through {
		t.Errorf("the marker was lost")
	}
	look(func() bool { return found > 0 }, 100*time.Millisecond)
	if found > 1 {
		t.Errorf("one frame came out %d times", found)
	}
	return out
}
