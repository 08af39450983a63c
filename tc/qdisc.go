package tc

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

// Clsact is the qdisc that filters hang from, as one interface has it.
type Clsact struct {
	Kind  string // "clsact", "ingress", or "" for none
	Block uint32 // TCA_INGRESS_BLOCK: shared with others when not 0
}

// AddClsact gives an interface the clsact qdisc; block, when not 0, shares its
// ingress. One that is there already is fine: made tells.
func (c *Conn) AddClsact(dev hwif.Ifindex, block uint32) (made bool, err error) {
	err = c.qdisc(rtmNewQdisc, flagCreate|flagExcl, dev, block)
	switch {
	case errors.Is(err, unix.EEXIST):
		return false, nil
	case err != nil:
		return false, err
	}
	return true, nil
}

// DelClsact takes it away, with every filter of everybody in it.
func (c *Conn) DelClsact(dev hwif.Ifindex) error { return c.qdisc(rtmDelQdisc, 0, dev, 0) }

func (c *Conn) qdisc(typ, flags uint16, dev hwif.Ifindex, block uint32) error {
	w := &c.write
	w.Lock()
	defer w.Unlock()
	w.seq++
	b, at := header(w.buf[:0], typ, flagRequest|flagAck|flags, w.seq)
	b = append(b, 0, 0, 0, 0)
	b = ne.AppendUint32(b, uint32(dev))
	b = ne.AppendUint32(b, handleClsact)
	b = ne.AppendUint32(b, parentClsact)
	b = append(b, 0, 0, 0, 0)
	b = attrString(b, tcaKind, "clsact")
	if block != 0 {
		b = attrU32(b, tcaIngressBlock, block)
	}
	w.buf = finish(b, at)
	if err := w.sock.send(w.buf); err != nil {
		return fmt.Errorf("clsact of dev %d: %w", dev, err)
	}
	for {
		var errno unix.Errno
		var text string
		end := false
		n, err := w.sock.answered(func(b []byte) {
			for m := range messages(b) {
				if m.seq == w.seq && m.typ == unix.NLMSG_ERROR {
					errno, text = verdict(m)
					end = true
				}
			}
		})
		switch {
		case err != nil:
			return fmt.Errorf("clsact of dev %d: %w", dev, err)
		case end && errno == 0:
			return nil
		case end:
			return &QdiscError{Dev: dev, Errno: errno, Text: text}
		case n == 0:
			if err := w.sock.wait(context.Background()); err != nil {
				return fmt.Errorf("clsact of dev %d: %w", dev, err)
			}
		}
	}
}

// QdiscError is the kernel's no about a clsact qdisc.
type QdiscError struct {
	Dev   hwif.Ifindex
	Errno unix.Errno
	Text  string
}

func (e *QdiscError) Error() string {
	s := fmt.Sprintf("clsact of dev %d: %s", e.Dev, e.Errno.Error())
	if e.Text != "" {
		s += " (kernel: " + e.Text + ")"
	}
	return s
}

// Is makes errors.Is(err, unix.ENODEV) work.
func (e *QdiscError) Is(target error) bool { return target == e.Errno }

// Clsacts tells which interfaces have a clsact or ingress qdisc.
func (c *Conn) Clsacts(ctx context.Context) (map[hwif.Ifindex]Clsact, error) {
	r := &c.read
	r.Lock()
	defer r.Unlock()
	r.seq++
	b, at := header(r.buf[:0], rtmGetQdisc, flagRequest|flagDump, r.seq)
	b = append(b, make([]byte, sizeofTcmsg)...)
	out := map[hwif.Ifindex]Clsact{}
	err := r.sock.list(ctx, finish(b, at), r.seq, r.buf[:dumpBuf], rtmNewQdisc, func(m message) error {
		if len(m.body) < sizeofTcmsg {
			return errMalformed
		}
		var q Clsact
		for typ, v := range attrs(m.body[sizeofTcmsg:]) {
			switch {
			case typ == tcaKind:
				q.Kind = cstring(v)
			case typ == tcaIngressBlock && len(v) == 4:
				q.Block = ne.Uint32(v)
			}
		}
		if q.Kind == "clsact" || q.Kind == "ingress" {
			out[hwif.Ifindex(ne.Uint32(m.body[4:]))] = q
		}
		return nil
	})
	return out, err
}
