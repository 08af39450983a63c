package tc

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

// Dump gives every flower filter at the ingress of an interface to f, which may
// keep nothing of it but copies. Filters that are not ours have Strange.
func (c *Conn) Dump(ctx context.Context, dev hwif.Ifindex, s *Shape, f func(*Filter) error) error {
	var filter Filter
	return c.dump(ctx, dev, false, func(m message) error {
		ok, err := Decode(m.body, s, &filter)
		if err != nil || !ok {
			return err
		}
		return f(&filter)
	})
}

// Terse gives handle, flags, cookie and counters of every flower filter at the
// ingress of an interface: a third of the bytes of Dump. It allocates nothing per
// filter; the Tally is the same each time.
func (c *Conn) Terse(ctx context.Context, dev hwif.Ifindex, f func(*Tally)) error {
	var t Tally
	return c.dump(ctx, dev, true, func(m message) error {
		if tally(m.body, &t) {
			f(&t)
		}
		return nil
	})
}

// dump asks and hands out what comes. ErrInterrupted comes after the last filter.
func (c *Conn) dump(ctx context.Context, dev hwif.Ifindex, terse bool, f func(message) error) error {
	return c.dumpAt(ctx, dev, parentIngress, terse, f)
}

// Empty reports whether no filter of any kind hangs at an interface, on neither
// side.
func (c *Conn) Empty(ctx context.Context, dev hwif.Ifindex) (bool, error) {
	empty := true
	for _, parent := range []uint32{parentIngress, parentEgress} {
		err := c.dumpAt(ctx, dev, parent, false, func(message) error { // some kinds know no terse form
			empty = false
			return nil
		})
		if err != nil {
			return false, err
		}
	}
	return empty, nil
}

func (c *Conn) dumpAt(ctx context.Context, dev hwif.Ifindex, parent uint32, terse bool, f func(message) error) error {
	r := &c.read
	r.Lock()
	defer r.Unlock()
	r.seq++
	b, at := header(r.buf[:0], rtmGetFilter, flagRequest|flagDump, r.seq)
	b = tcmsg(b, &Place{Ifindex: dev}, 0, 0)
	ne.PutUint32(b[len(b)-8:], parent)
	if terse {
		b = attrBits(b, tcaDumpFlags, terseDump)
	}
	return r.sock.list(ctx, finish(b, at), r.seq, r.buf[:dumpBuf], rtmNewFilter, f)
}

// list sends a question and takes the answer in up to its end, also when f has had
// enough: the kernel goes on telling.
func (s *socket) list(ctx context.Context, question []byte, seq uint32, buf []byte, want uint16, f func(message) error) error {
	if err := s.send(question); err != nil {
		return fmt.Errorf("ask for filters: %w", err)
	}
	var failed error
	interrupted := false
	for {
		if err := s.wait(context.WithoutCancel(ctx)); err != nil {
			return err
		}
		n, err := s.read(buf)
		if err != nil {
			s.drain()
			return err
		}
		for m := range messages(buf[:n]) {
			if m.seq != seq {
				continue // of a list that was given up
			}
			interrupted = interrupted || m.flags&flagDumpInt != 0
			switch m.typ {
			case want:
				if failed == nil {
					failed = f(m)
				}
				if failed == nil {
					failed = ctx.Err()
				}
			case unix.NLMSG_DONE, unix.NLMSG_ERROR:
				errno, text := verdict(m)
				switch {
				case errno != 0:
					return &listError{errno, text}
				case failed != nil:
					return failed
				case interrupted:
					return ErrInterrupted
				}
				return nil
			}
		}
	}
}

// listError is the kernel's no to a question.
type listError struct {
	errno unix.Errno
	text  string
}

func (e *listError) Error() string {
	s := "list filters: " + e.errno.Error()
	if e.text != "" {
		s += " (kernel: " + e.text + ")"
	}
	return s
}

func (e *listError) Is(target error) bool { return target == e.errno }

// Gone reports whether an error of a list says that the interface or its qdisc is
// not there (any more).
func Gone(err error) bool {
	return errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT)
}
