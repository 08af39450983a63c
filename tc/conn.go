package tc

import (
	"context"
	"errors"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

// Verb is what a request asks for.
type Verb uint8

// The verbs. New refuses a filter that is there already; Delete goes by handle and
// brings the last counters.
const (
	New Verb = iota
	Delete
	Get
)

func (v Verb) String() string { return [...]string{"add", "delete", "get"}[v] }

// Request is one wish.
type Request struct {
	Verb   Verb
	Filter *Filter // Delete and Get need Place, Protocol and Handle alone
	// NoCounter says that nobody wants what a Delete brings: the kernel then builds
	// no message about the filter, which is most of the work.
	NoCounter bool
}

// Response is the kernel's answer to one Request.
type Response struct {
	Err     error
	Flags   Flags        // after New: SkipSW and InHW, since the kernel takes no skip_sw filter otherwise (cls_flower.c:fl_hw_replace_filter)
	Counter hwif.Counter // after Get, and Delete without NoCounter: hardware's, bytes of L2
	Cookie  hwif.Cookie  // after Get, and Delete without NoCounter
}

// Batch is how many messages go into one send. From 16 on more gains nothing: the
// cost is the kernel's per filter, and who comes next waits for all of them.
const Batch = 32

var _ [64 - Batch]struct{} // answers of a batch are bits of one word

// Conn talks about filters in one network namespace.
type Conn struct {
	write struct {
		sync.Mutex
		sock *socket
		buf  []byte
		seq  uint32
		at   []int // of the requests that are in the batch
		enc  Encoder
	}
	read struct {
		sync.Mutex
		sock *socket
		buf  []byte
		seq  uint32
	}
}

// Open makes a connection to the calling thread's network namespace.
func Open() (*Conn, error) {
	c := &Conn{}
	var err error
	if c.write.sock, err = newSocket(); err != nil {
		return nil, err
	}
	if c.read.sock, err = newSocket(); err != nil {
		return nil, errors.Join(err, c.write.sock.close())
	}
	c.read.buf = make([]byte, dumpBuf)
	return c, nil
}

// Close ends the connection; no call may be running.
func (c *Conn) Close() error { return errors.Join(c.write.sock.close(), c.read.sock.close()) }

// Apply carries out requests in order and fills out, which is as long. A request
// that fails stops none of the others. Once ctx has ended, the rest is not begun
// and has its error.
func (c *Conn) Apply(ctx context.Context, s *Shape, reqs []Request, out []Response) {
	w := &c.write
	w.Lock()
	defer w.Unlock()
	for start := 0; start < len(reqs); {
		if err := ctx.Err(); err != nil {
			for i := start; i < len(reqs); i++ {
				out[i] = Response{Err: err}
			}
			return
		}
		start = c.batch(s, reqs, out, start)
		// Go's scheduler takes its processor away from who has not come by for 10 ms,
		// in the middle of the kernel's work too: a tenth of the pace and more.
		runtime.Gosched()
	}
}

// batch sends up to Batch requests from start on and takes in their answers. It
// gives where the next batch begins.
func (c *Conn) batch(s *Shape, reqs []Request, out []Response, start int) int {
	w := &c.write
	w.buf, w.at = w.buf[:0], w.at[:0]
	first := w.seq + 1
	i := start
	for ; i < len(reqs) && len(w.at) < Batch; i++ {
		out[i] = Response{}
		f := reqs[i].Filter
		if out[i].Err = complete(f); out[i].Err != nil {
			continue
		}
		switch reqs[i].Verb {
		case New:
			w.buf, out[i].Err = w.enc.Append(w.buf, w.seq+1, f, s)
		case Delete:
			flags := uint16(flagEcho)
			if reqs[i].NoCounter {
				flags = 0
			}
			w.buf = appendByHandle(w.buf, rtmDelFilter, flags, w.seq+1, f)
		case Get:
			w.buf = appendByHandle(w.buf, rtmGetFilter, 0, w.seq+1, f)
		}
		if out[i].Err != nil {
			continue
		}
		w.seq++
		w.at = append(w.at, i)
	}
	if len(w.at) > 0 {
		c.exchange(reqs, out, first)
	}
	return i
}

// exchange sends the batch and waits for its end. The kernel carries messages out
// in order and answers every failure, asked or not (af_netlink.c:
// netlink_rcv_skb), so only the last message asks for an acknowledgement: when it
// is there, whoever had no answer has succeeded. If the kernel dropped an answer
// it says so (ENOBUFS), and then nobody without one can be sure.
func (c *Conn) exchange(reqs []Request, out []Response, first uint32) {
	w := &c.write
	c.askLast()
	err := w.sock.send(w.buf)
	lost := false
	answered := uint64(0) // bit k: the k-th of the batch
	for end := false; err == nil && !end; {
		n, rerr := w.sock.answered(func(b []byte) {
			for m := range messages(b) {
				k := int(m.seq - first)
				if k < 0 || k >= len(w.at) {
					continue // of a batch that was given up
				}
				c.answer(&reqs[w.at[k]], &out[w.at[k]], m)
				if m.typ == unix.NLMSG_ERROR {
					answered |= 1 << k
					end = end || k == len(w.at)-1
				}
			}
		})
		switch {
		case errors.Is(rerr, ErrLost):
			lost = true
		case rerr != nil:
			err = rerr
		case n == 0 && !end:
			// The end of a batch is waited for whatever becomes of the caller: its
			// requests have been carried out.
			if werr := w.sock.wait(context.Background()); errors.Is(werr, ErrLost) {
				lost, end = true, true
			} else if werr != nil {
				err = werr
			}
		}
	}
	for k, i := range w.at {
		switch {
		case answered&(1<<k) != 0:
		case err != nil:
			out[i].Err = err
		case lost:
			out[i].Err = ErrLost
		default:
			if reqs[i].Verb == New {
				out[i].Flags = SkipSW | InHW
			}
		}
	}
	if lost || err != nil {
		w.sock.drain()
	}
}

// askLast puts NLM_F_ACK on the last message of the batch.
func (c *Conn) askLast() {
	b := c.write.buf
	for at := 0; at+sizeofNlmsghdr <= len(b); {
		n := align4(int(ne.Uint32(b[at:])))
		if at+n >= len(b) {
			ne.PutUint16(b[at+6:], ne.Uint16(b[at+6:])|flagAck)
		}
		at += n
	}
}

// answer takes in one message about one request.
func (c *Conn) answer(req *Request, res *Response, m message) {
	switch m.typ {
	case unix.NLMSG_ERROR:
		errno, text := verdict(m)
		switch {
		case errno != 0:
			res.Err = &Error{Verb: req.Verb, Place: req.Filter.Place, Handle: req.Filter.Handle, Errno: errno, Text: text}
		case req.Verb == New:
			res.Flags = SkipSW | InHW
		}
	case rtmDelFilter, rtmNewFilter:
		var t Tally
		if tally(m.body, &t) {
			res.Counter, res.Flags, res.Cookie = t.Counter, t.Flags, t.Cookie
		}
	}
}

// verdict reads struct nlmsgerr: the error, and with NLM_F_ACK_TLVS the text.
func verdict(m message) (unix.Errno, string) {
	if len(m.body) < 4 {
		return unix.EPROTO, ""
	}
	errno := unix.Errno(-int32(ne.Uint32(m.body)))
	if m.flags&unix.NLM_F_ACK_TLVS == 0 || len(m.body) < 4+sizeofNlmsghdr {
		return errno, ""
	}
	off := 4 + sizeofNlmsghdr
	if m.flags&unix.NLM_F_CAPPED == 0 { // the request follows its header
		off = 4 + align4(int(ne.Uint32(m.body[4:])))
	}
	if off > len(m.body) {
		return errno, ""
	}
	for typ, v := range attrs(m.body[off:]) {
		if typ == unix.NLMSGERR_ATTR_MSG {
			return errno, cstring(v)
		}
	}
	return errno, ""
}
