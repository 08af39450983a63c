package conntrack

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif/flow"
)

// defaultRcvBuf holds 100 000 TCP events, which cost 1280 bytes each: most of a
// second at the highest rate that a kernel makes them.
const defaultRcvBuf = 64 << 20

// replyBuf must hold the answers to one batch of requests, which all lie in the
// queue before the first is read: 64 entries and 64 acknowledgements.
const replyBuf = 4 << 20

// Options tell Open what to do; the zero value is usable.
type Options struct {
	Log   *slog.Logger     // nil means silent
	Clock func() flow.Time // nil means nanoseconds since Open
	// RcvBuf is the event socket's receive buffer in bytes before the kernel
	// doubles it; 0 means 64 MiB. A spare socket for DESTROY gets half.
	RcvBuf int
	// SetEvents writes nf_conntrack_events=1. With the kernel's default, 2,
	// entries made while nobody listened never tell of their end.
	SetEvents bool
	// Counters writes nf_conntrack_acct=1, so that new entries count packets.
	Counters bool
	// OnlyAssured leaves out entries that are not ASSURED, in the kernel where it
	// can: no listing has them, no UPDATE, no DESTROY. NEW still comes for all.
	OnlyAssured bool
}

// Tracker follows one network namespace's conntrack. Its methods may be called
// from any goroutine; Run by one at a time.
type Tracker struct {
	log         *slog.Logger
	clock       func() flow.Time
	onlyAssured bool
	notes       []string

	events  *socket // NEW, UPDATE and DESTROY in the kernel's order
	spare   *socket // DESTROY again, for when events overran
	listing *socket
	write   *talk // writer's
	ask     *talk // Get's, under askMu
	askMu   sync.Mutex
	sysctl  *sysctls

	wake    wakeup // ends the reader's wait
	relist  atomic.Bool
	running atomic.Bool
	queue   queue
	count   counters
	closed  sync.Once
}

// Open makes all sockets in the calling thread's network namespace and checks
// that this kernel and this process can do what is needed. Errors are sentences
// that say what mends them. The caller owns the Tracker and must Close it.
func Open(opts Options) (*Tracker, error) {
	t := &Tracker{log: opts.Log, clock: opts.Clock, onlyAssured: opts.OnlyAssured}
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	if t.clock == nil {
		start := time.Now()
		t.clock = func() flow.Time { return flow.Time(time.Since(start)) }
	}
	t.queue.signal = make(chan struct{}, 1)
	t.wake.fd = -1
	if err := t.open(&opts); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

func (t *Tracker) open(opts *Options) (err error) {
	// The sockets that answer come first: their probe says whether the kernel and
	// our privileges suffice, and loads what the rest needs.
	if t.write, err = newTalk(); err != nil {
		return noSocket(err)
	}
	if err := t.write.probe(); err != nil {
		return err
	}
	if t.ask, err = newTalk(); err != nil {
		return err
	}
	if t.listing, err = newSocket(1, dumpLen); err != nil {
		return err
	}
	if err := t.prepareSysctls(opts); err != nil {
		return err
	}
	if t.events, err = t.newEvents(opts.RcvBuf, 1); err != nil {
		return err
	}
	if t.spare, err = t.newEvents(opts.RcvBuf, 2); err != nil {
		return err
	}
	return t.wake.open()
}

func noSocket(err error) error {
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		return fmt.Errorf("this kernel has no netfilter netlink; load nf_conntrack_netlink or build with CONFIG_NF_CT_NETLINK: %w", err)
	}
	return err
}

// newEvents makes a socket for multicast; it joins its groups in Run.
func (t *Tracker) newEvents(rcvbuf, share int) (*socket, error) {
	if rcvbuf <= 0 {
		rcvbuf = defaultRcvBuf
	}
	s, err := newSocket(bufCount, bufLen)
	if err != nil {
		return nil, err
	}
	forced, err := s.growBuffer(rcvbuf / share)
	if err == nil {
		err = s.filter(eventFilter(t.onlyAssured))
	}
	if err != nil {
		s.close()
		return nil, err
	}
	if !forced && share == 1 {
		got, _ := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
		t.note(fmt.Sprintf("receive buffer is %d bytes instead of %d: raise net.core.rmem_max or give CAP_NET_ADMIN in the initial user namespace", got/2, rcvbuf))
	}
	return s, nil
}

// note keeps a sentence for the operator.
func (t *Tracker) note(s string) {
	t.notes = append(t.notes, s)
	t.log.Warn("conntrack: " + s)
}

// Notes are sentences on what works less well than it could. They are all
// written by Open and never change.
func (t *Tracker) Notes() []string { return t.notes }

// prepareSysctls sets or reports nf_conntrack_events and nf_conntrack_acct, and
// opens the time-outs.
func (t *Tracker) prepareSysctls(opts *Options) error {
	got, changed, err := ensure("nf_conntrack_events", opts.SetEvents)
	switch {
	case missing(err):
		return fmt.Errorf("this kernel sends no conntrack events: it needs CONFIG_NF_CONNTRACK_EVENTS (there is no sysctl nf_conntrack_events)")
	case got == "0":
		return fmt.Errorf("nf_conntrack_events is 0, so the kernel sends no conntrack events; set net.netfilter.nf_conntrack_events=1%s", because(err))
	case got != "1":
		t.note("nf_conntrack_events is " + got + because(err) + ": connections made while nobody listened end without an event and are noticed by listing only; set net.netfilter.nf_conntrack_events=1")
	case changed:
		t.log.Info("conntrack: set nf_conntrack_events=1")
	}
	got, changed, err = ensure("nf_conntrack_acct", opts.Counters)
	switch {
	case changed:
		t.log.Info("conntrack: set nf_conntrack_acct=1; connections made before are not counted")
	case got != "1":
		t.note("nf_conntrack_acct is off" + because(err) + ": entries carry no packet counts; set net.netfilter.nf_conntrack_acct=1")
	}
	if t.sysctl, err = openSysctls(); err != nil {
		return err
	}
	return t.sysctl.watch(opts)
}

func because(err error) string {
	if err == nil {
		return ""
	}
	return " and could not be set (" + err.Error() + ")"
}

// Timeouts gives the full time-outs, at most ten seconds old. When the sysctls
// have become unreadable it gives the last that were read.
func (t *Tracker) Timeouts() Timeouts {
	got, err := t.sysctl.timeouts()
	if err != nil {
		t.log.Warn("conntrack: time-outs unreadable, going on with the last", "err", err)
	}
	return got
}

// Close releases sockets and files. It must not be called before Run has
// returned; calling it twice does nothing, and Get fails after it.
func (t *Tracker) Close() error {
	t.closed.Do(func() {
		t.events.close()
		t.spare.close()
		t.listing.close()
		t.write.close()
		t.askMu.Lock()
		t.ask.close()
		t.askMu.Unlock()
		t.sysctl.close()
		t.wake.close()
	})
	return nil
}
