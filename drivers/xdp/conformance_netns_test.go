//go:build netns

package xdp

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/hwiftest"
)

func TestConformance(t *testing.T) {
	for _, mode := range []Mode{ModeNative, ModeGeneric} {
		for _, pin := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, pinned %v", mode, pin), func(t *testing.T) {
				hwiftest.Run(t, func(t *testing.T) *hwiftest.Harness { return harness(t, mode, pin) })
			})
		}
	}
}

func harness(t *testing.T, mode Mode, pin bool) *hwiftest.Harness {
	w := newWires(t, wireOptions{})
	settings := map[string]string{"mode": string(mode)}
	if pin {
		settings["pin"] = pinDir(t)
	}
	open := func(o hwiftest.Options) hwif.Device {
		return w.open(hwif.OpenOptions{MaxRules: o.MaxRules, Settings: settings})
	}
	// Shorter tagged frames are dropped by the kernel itself before a packet
	// socket can see them (skb_vlan_untag).
	h := &hwiftest.Harness{Open: open, Ports: w.ports, MinFrame: 20, Inject: w.injector()}
	if pin {
		h.Reopen = open
	}
	h.Vanish = func(i hwif.Ifindex) {
		w.inRouter(func() {
			l, err := netlink.LinkByIndex(int(i))
			must(t, err, "find port")
			must(t, netlink.LinkDel(l), "delete port")
		})
	}
	return h
}

// open opens a device over all ports.
func (w *wires) open(o hwif.OpenOptions) *Device {
	w.t.Helper()
	o.Ports = w.names
	var dev hwif.Device
	var err error
	w.inRouter(func() { dev, err = Driver{}.Open(context.Background(), o) })
	must(w.t, err, "open")
	return dev.(*Device)
}

// pinDir is a directory that does not exist yet, on a bpffs.
func pinDir(t testing.TB) string {
	t.Helper()
	if err := onBPFfs("/sys/fs/bpf"); err != nil {
		must(t, unixMountBPF(), "mount a bpffs")
	}
	dir := fmt.Sprintf("/sys/fs/bpf/xdp-test-%d-%d", os.Getpid(), wireNumber.Add(1))
	t.Cleanup(func() {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s was left behind", dir)
			os.RemoveAll(dir)
		}
	})
	return dir
}

// markType is the ethertype of the frame that follows each injected one.
var markType = []byte{0x88, 0xb6}

// injector sends by a peer, and looks at all peers and at the router. A marker
// that follows on the same wire says when the frame is through.
func (w *wires) injector() func(hwif.Ifindex, []byte) hwiftest.Out {
	far, near := map[hwif.Ifindex]*packetSocket{}, map[hwif.Ifindex]*packetSocket{}
	var all []*packetSocket
	for i, p := range w.ports {
		far[p.Ifindex] = w.socket(w.peers, fmt.Sprintf("e%d", i))
		near[p.Ifindex] = w.socket(w.router, p.Name)
		all = append(all, far[p.Ifindex], near[p.Ifindex])
	}
	recv := func(s *packetSocket) []byte {
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
	mark := make([]byte, 60)
	copy(mark, []byte{2, 0, 0, 0, 0xbb, 1, 2, 0, 0, 0, 0xbb, 2})
	copy(mark[12:], markType)
	number := uint64(0)
	return func(port hwif.Ifindex, frame []byte) hwiftest.Out {
		for _, s := range all {
			for recv(s) != nil {
			}
		}
		number++
		for i := range 8 {
			mark[20+i] = byte(number >> (8 * i))
		}
		must(w.t, far[port].send(frame), "send")
		must(w.t, far[port].send(mark), "send marker")
		out := hwiftest.Out{Verdict: hwiftest.Dropped}
		found := 0
		look := func(until func() bool, d time.Duration) {
			for end := time.Now().Add(d); !until() && time.Now().Before(end); {
				wait(20*time.Millisecond, all...)
				for i, s := range far {
					for f := recv(s); f != nil; f = recv(s) {
						out, found = hwiftest.Out{Verdict: hwiftest.Forwarded, Port: i, Frame: f}, found+1
					}
				}
				for f := recv(near[port]); f != nil; f = recv(near[port]) {
					if bytes.Equal(f, mark) {
						found |= 1 << 16
						continue
					}
					out, found = hwiftest.Out{Verdict: hwiftest.ToKernel, Frame: f}, found+1
				}
			}
		}
		look(func() bool { return found&(1<<16) != 0 }, 5*time.Second)
		if found&(1<<16) == 0 {
			w.t.Errorf("the marker was lost")
		}
		look(func() bool { return found&0xffff != 0 }, 100*time.Millisecond)
		if found&0xffff > 1 {
			w.t.Errorf("one frame came out %d times", found&0xffff)
		}
		return out
	}
}
