package switchdev

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev/wire"
)

// ear is a notification socket: a queue with a deadline.
type ear struct {
	queue chan heard
	mu    sync.Mutex
	wake  chan struct{}
	until time.Time
}

type heard struct {
	msgs []netlink.Message
	err  error
}

func newEar() *ear { return &ear{queue: make(chan heard, 1000), wake: make(chan struct{})} }

func (e *ear) recv() ([]netlink.Message, error) {
	for {
		e.mu.Lock()
		until, wake := e.until, e.wake
		e.mu.Unlock()
		var late <-chan time.Time
		if !until.IsZero() {
			late = time.After(time.Until(until))
			if time.Until(until) <= 0 {
				return nil, os.ErrDeadlineExceeded
			}
		}
		select {
		case h := <-e.queue:
			return h.msgs, h.err
		case <-late:
			return nil, os.ErrDeadlineExceeded
		case <-wake:
		}
	}
}

func (e *ear) drain() error {
	for {
		select {
		case <-e.queue:
		default:
			return nil
		}
	}
}

func (e *ear) deadline(t time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.until = t
	close(e.wake)
	e.wake = make(chan struct{})
	return nil
}

// watched is a Watcher on a kernel, inside a bubble of time.
type watched struct {
	*Watcher
	k              *kernel
	links, devlink *ear
	mu             sync.Mutex
	said           []string
	ended          chan error
}

// watch runs a Watcher with two cards. f is told in the bubble.
func watch(t *testing.T, o WatchOptions, f func(w *watched)) {
	synctest.Test(t, func(t *testing.T) {
		k := newKernel(t)
		k.card(pf0, "a", 10, id8)
		k.card(pf1, "b", 20, id8)
		w := &watched{k: k, links: newEar(), devlink: newEar(), ended: make(chan error, 1)}
		none := func() error { return nil }
		w.Watcher = &Watcher{conn: k.conn(), opts: o.defaults(), listeners: []*listener{
			{"rtnetlink", w.links.recv, w.links.drain, w.links.deadline, none}, {"devlink", w.devlink.recv, w.devlink.drain, w.devlink.deadline, none}}}
		if err := w.first(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			w.ended <- w.Run(ctx, func(e Event) {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.said = append(w.said, e.String())
			})
		}()
		f(w)
		cancel()
		if err := <-w.ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// expect lets d pass and compares what was said with the beginnings of lines.
func (w *watched) expect(d time.Duration, want ...string) {
	w.k.t.Helper()
	time.Sleep(d)
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	ok := len(w.said) == len(want)
	for i := range min(len(want), len(w.said)) {
		ok = ok && strings.HasPrefix(w.said[i], want[i])
	}
	if !ok {
		w.k.t.Errorf("said\n\t%s\nwant\n\t%s", strings.Join(w.said, "\n\t"), strings.Join(want, "\n\t"))
	}
	w.said = nil
}

// do changes the kernel.
func (w *watched) do(f func(k *kernel)) {
	w.k.mu.Lock()
	defer w.k.mu.Unlock()
	f(w.k)
}

// newLink notifies what a link is now, goneLink that it is no more.
func (w *watched) newLink(is ...hwif.Ifindex) {
	var msgs []netlink.Message
	w.do(func(k *kernel) {
		for _, i := range is {
			msgs = append(msgs, netlink.Message{Header: netlink.Header{Type: unix.RTM_NEWLINK}, Data: k.links[i].encode(i)})
		}
	})
	w.links.queue <- heard{msgs: msgs}
}

func (w *watched) goneLink(i hwif.Ifindex) {
	w.do(func(k *kernel) {
		w.links.queue <- heard{msgs: []netlink.Message{{Header: netlink.Header{Type: unix.RTM_DELLINK}, Data: k.links[i].encode(i)}}}
		delete(k.links, i)
	})
}

func (w *watched) tell(cmd byte, body []byte) {
	w.devlink.queue <- heard{msgs: []netlink.Message{{Header: netlink.Header{Type: devlinkFamily}, Data: append([]byte{cmd, 1, 0, 0}, body...)}}}
}

func TestWatchLinks(t *testing.T) {
	watch(t, WatchOptions{Poll: -1}, func(w *watched) {
		w.expect(time.Hour) // nothing happens by itself
		w.k.edit(12, func(l *klink) { l.name, l.flags = "renamed", unix.IFF_UP })
		w.newLink(12)
		w.expect(0, "port changed: renamed (ifindex 12, vf 1 of pf 0, pci/0000:03:00.0/2): name,carrier")
		if p, ok := w.Inventory().ByName("renamed"); !ok || p.Up {
			t.Error("the inventory does not have what was told")
		}
		w.newLink(12) // the same again
		w.expect(0)
		w.do(func(k *kernel) {
			k.links[30] = vlanOn("v", 10, 4, 0x8100)
		})
		w.newLink(30)
		w.expect(0, "interface 30 changed")
		if s := w.Inventory().Resolve(30); s.String() != "v: ap0 vlan 4" {
			t.Error(&s)
		}
		w.goneLink(30)
		w.expect(0, "interface 30 changed")
	})
}

// TestWatchOffload: the flag is read again when the kernel says that features
// changed, and only then.
func TestWatchOffload(t *testing.T) {
	watch(t, WatchOptions{Poll: -1}, func(w *watched) {
		w.k.edit(11, func(l *klink) { l.offload = TCOffloadOff })
		w.newLink(11)
		w.expect(time.Second)
		w.k.edit(11, func(l *klink) { l.event = wire.EventFeatures })
		w.newLink(11)
		w.expect(0, "port changed: apf0vf0 (ifindex 11, vf 0 of pf 0, pci/0000:03:00.0/1): hw-tc-offload")
	})
}

// TestWatchPlug: the end of a port is told at once; its return when devlink has
// been asked.
func TestWatchPlug(t *testing.T) {
	watch(t, WatchOptions{Poll: -1}, func(w *watched) {
		back := w.k.links[12]
		w.goneLink(12)
		w.expect(0, "port vanished: apf0vf1 (ifindex 12,")
		w.do(func(k *kernel) { k.ports[2].ifindex = 0 })
		w.tell(unix.DEVLINK_CMD_PORT_DEL, w.k.ports[2].encode())
		w.expect(time.Second)
		w.do(func(k *kernel) {
			k.ports[2].ifindex = 55
			k.links[55] = back
		})
		w.tell(unix.DEVLINK_CMD_PORT_NEW, w.k.ports[2].encode())
		w.newLink(55)
		w.expect(time.Second, "port appeared: apf0vf1 (ifindex 55, vf 1 of pf 0, pci/0000:03:00.0/2)")
		if p, ok := w.Inventory().ByIfindex(55); !ok || p.TCOffload != TCOffloadOn {
			t.Errorf("%+v", p)
		}
	})
}

// TestWatchReuse: a number that is freed and given again in one breath is two
// ports all the same.
func TestWatchReuse(t *testing.T) {
	watch(t, WatchOptions{Poll: -1}, func(w *watched) {
		b := w.k.links[12].encode(12)
		w.links.queue <- heard{msgs: []netlink.Message{
			{Header: netlink.Header{Type: unix.RTM_DELLINK}, Data: b}, {Header: netlink.Header{Type: unix.RTM_NEWLINK}, Data: b}}}
		w.expect(0, "port vanished: apf0vf1", "port appeared: apf0vf1")
	})
}

func TestWatchMode(t *testing.T) {
	watch(t, WatchOptions{Poll: -1}, func(w *watched) {
		ports := w.k.ports
		w.do(func(k *kernel) {
			k.devs[pf0].mode = 0
			k.ports = append(ports[:1:1], ports[4:]...)
		})
		for n, i := range []hwif.Ifindex{11, 12, 13} {
			w.goneLink(i)
			w.tell(unix.DEVLINK_CMD_PORT_DEL, ports[1+n].encode())
		}
		w.expect(0, "port vanished: apf0vf0", "port vanished: apf0vf1", "port vanished: apf0sf88")
		w.expect(time.Second, "eswitch mode of pci/0000:03:00.0 changed: legacy, was switchdev")
	})
}

// TestWatchBusy: a device that is too busy to answer keeps the mode that it had.
func TestWatchBusy(t *testing.T) {
	watch(t, WatchOptions{Poll: time.Minute}, func(w *watched) {
		w.do(func(k *kernel) {
			k.devs[pf0].mode = 0
			k.refuse[cmd(devlinkFamily, unix.DEVLINK_CMD_ESWITCH_GET)] = refusal{unix.EBUSY, "in reset"}
		})
		w.expect(90 * time.Second)
		if len(w.Inventory().Problems) != 2 || w.Inventory().Devices[0].Mode != ModeSwitchdev {
			t.Errorf("%v", w.Inventory().Problems)
		}
		w.do(func(k *kernel) {
			delete(k.refuse, cmd(devlinkFamily, unix.DEVLINK_CMD_ESWITCH_GET))
		})
		w.expect(time.Minute, "eswitch mode of pci/0000:03:00.0 changed: legacy, was switchdev")
		if len(w.Inventory().Problems) != 0 {
			t.Errorf("%v", w.Inventory().Problems)
		}
	})
}

func TestWatchReset(t *testing.T) {
	watch(t, WatchOptions{Poll: -1}, func(w *watched) {
		failed := Reporter{Name: "fw", State: wire.HealthError, Errors: 1}
		well := Reporter{Name: "fw", State: wire.Healthy, Errors: 1, Recoveries: 1}
		w.tell(unix.DEVLINK_CMD_HEALTH_REPORTER_RECOVER, encodeReporter(pf0, failed))
		w.expect(0, "health reporter fw of pci/0000:03:00.0: error")
		w.do(func(k *kernel) {
			k.devs[pf0].reporters[0] = well
		})
		w.tell(unix.DEVLINK_CMD_HEALTH_REPORTER_RECOVER, encodeReporter(pf0, well))
		w.expect(time.Second, "health reporter fw of pci/0000:03:00.0: healthy", "device pci/0000:03:00.0 was reset: health reporter fw recovered")
		// An old notification does not turn the counters back.
		w.tell(unix.DEVLINK_CMD_HEALTH_REPORTER_RECOVER, encodeReporter(pf0, failed))
		w.tell(unix.DEVLINK_CMD_HEALTH_REPORTER_RECOVER, encodeReporter(Handle{Bus: "pci", Name: "gone"}, failed))
		w.tell(unix.DEVLINK_CMD_HEALTH_REPORTER_RECOVER, []byte{1, 2, 3})
		w.expect(time.Second)
	})
}

// TestWatchSilent: what the kernel does not notify is found by asking.
func TestWatchSilent(t *testing.T) {
	watch(t, WatchOptions{}, func(w *watched) {
		w.expect(time.Second)
		w.do(func(k *kernel) {
			k.devs[pf1].mode, k.devs[pf1].reloads = 0, 1
		})
		w.expect(6*time.Second, "eswitch mode of pci/0000:03:00.1 changed", "device pci/0000:03:00.1 was reset: devlink reload")
	})
}

// TestWatchInfoOnce: a description is asked for when a device is new or its
// driver started anew, not at each look.
func TestWatchInfoOnce(t *testing.T) {
	watch(t, WatchOptions{Poll: time.Second}, func(w *watched) {
		w.do(func(k *kernel) {
			k.asked = nil
		})
		w.expect(time.Minute)
		if len(w.k.asked) != 0 {
			t.Errorf("asked %v", w.k.asked)
		}
		w.do(func(k *kernel) {
			k.devs[pf0].reloads, k.devs[pf0].board = 1, "other"
		})
		w.expect(2*time.Second, "device pci/0000:03:00.0 was reset")
		if len(w.k.asked) != 1 || w.Inventory().Devices[0].Board != "other" {
			t.Errorf("asked %v", w.k.asked)
		}
	})
}

func TestWatchLoss(t *testing.T) {
	for _, devlink := range []bool{false, true} {
		watch(t, WatchOptions{Poll: -1}, func(w *watched) {
			// Lost: VF 1 went away. Queued before the loss: VF 1 as it was.
			from := w.links
			if devlink {
				from = w.devlink
			}
			w.do(func(k *kernel) {
				from.queue <- heard{err: os.NewSyscallError("recvmsg", unix.ENOBUFS)}
				if !devlink {
					from.queue <- heard{msgs: []netlink.Message{{Header: netlink.Header{Type: unix.RTM_NEWLINK}, Data: k.links[12].encode(12)}}}
				}
				delete(k.links, 12)
				k.ports[2].ifindex = 0
			})
			w.expect(time.Second, "notifications were lost, read anew: the receive buffer overflowed", "port vanished: apf0vf1 (ifindex 12,")
			w.k.edit(11, func(l *klink) { l.mtu = 9000 })
			w.newLink(11)
			w.expect(0, "port changed: apf0vf0") // and it still listens
		})
	}
}

// TestWatchSick: an interface whose message can't be read is not there; a message
// that says nothing at all makes us look for ourselves.
func TestWatchSick(t *testing.T) {
	watch(t, WatchOptions{Poll: -1}, func(w *watched) {
		b := w.k.links[12].encode(12)
		w.links.queue <- heard{msgs: []netlink.Message{{Header: netlink.Header{Type: unix.RTM_NEWLINK}, Data: append(b, 3, 0, 0, 0)}}}
		w.expect(0, "port vanished: apf0vf1 (ifindex 12,")
		if n := len(w.Inventory().Problems); n != 1 {
			t.Errorf("%d problems", n)
		}
		w.links.queue <- heard{msgs: []netlink.Message{{Header: netlink.Header{Type: unix.RTM_NEWLINK}, Data: []byte{0, 0}}}}
		w.expect(0, "notifications were lost, read anew: malformed RTM_NEWLINK", "port appeared: apf0vf1 (ifindex 12,")
		w.devlink.queue <- heard{msgs: []netlink.Message{{Data: []byte{7}}}}
		w.expect(0, "notifications were lost, read anew: malformed devlink notification")
	})
}

// TestWatchUnsettled: a re-read that meets a change is done again, ever less
// often, and ends when it settles.
func TestWatchUnsettled(t *testing.T) {
	watch(t, WatchOptions{Poll: -1}, func(w *watched) {
		k := w.k
		k.mu.Lock()
		k.ports = append(k.ports, kport{dev: Handle{Bus: "pci", Name: "half"}, index: 1})
		before := k.listed
		k.mu.Unlock()
		w.tell(unix.DEVLINK_CMD_NEW, nil)
		w.expect(time.Minute)
		k.mu.Lock()
		if n := k.listed - before; n < 5 || n > 30 {
			t.Errorf("read %d times in a minute", n)
		}
		k.devs[Handle{Bus: "pci", Name: "half"}] = &kdev{driver: "nfp"}
		k.mu.Unlock()
		w.expect(time.Minute, "device appeared: pci/half")
	})
}

func TestWatchEnds(t *testing.T) {
	watch(t, WatchOptions{}, func(w *watched) {
		w.links.queue <- heard{err: unix.EBADF}
		err := <-w.ended
		if !errors.Is(err, unix.EBADF) || !strings.Contains(err.Error(), "rtnetlink") {
			t.Errorf("%v", err)
		}
		w.ended <- nil
	})
	watch(t, WatchOptions{}, func(w *watched) {
		w.do(func(k *kernel) {
			k.refuse[cmd(devlinkFamily, unix.DEVLINK_CMD_PORT_GET)] = refusal{unix.EPERM, ""}
		})
		if err := <-w.ended; !errors.Is(err, unix.EPERM) {
			t.Errorf("%v", err)
		}
		w.ended <- nil
	})
}

// After a loss the kernel may have no answer at once: the watcher asks again, and
// goes on.
func TestLossWhileTheKernelIsBusy(t *testing.T) {
	port := cmd(devlinkFamily, unix.DEVLINK_CMD_PORT_GET)
	for _, errno := range []unix.Errno{unix.EBUSY, unix.ENOMEM} {
		watch(t, WatchOptions{Poll: -1}, func(w *watched) {
			w.do(func(k *kernel) { k.refuse[port] = refusal{errno, ""} })
			w.links.queue <- heard{err: os.NewSyscallError("recvmsg", unix.ENOBUFS)}
			synctest.Wait()
			select {
			case err := <-w.ended:
				t.Errorf("%v: the watcher ended for good: %v", errno, err)
				w.ended <- nil
				return
			default:
			}
			w.do(func(k *kernel) { delete(k.refuse, port) })
			time.Sleep(time.Minute)
			synctest.Wait()
			if w.owed != "" {
				t.Errorf("%v: nothing was read afterwards", errno)
			}
		})
	}
}
