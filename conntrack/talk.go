package conntrack

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// batchMax is how many requests go into one send; more gains nothing.
const batchMax = 64

// errNoAnswer says that the kernel's answer to a request is not in the queue
// although send has returned: the receive buffer was too small for it.
var errNoAnswer = errors.New("no answer from the kernel")

// talk sends requests and sorts the answers. Owned by one goroutine at a time.
//
// nfnetlink carries out a request inside send, in the caller's context, so all
// answers wait when send returns and no time-out is needed. An answer to GET has
// NLM_F_MULTI set but no NLMSG_DONE follows it (ctnetlink_fill_info), so the
// acknowledgement is what ends it.
type talk struct {
	*socket
	seq  uint32 // of the batch's first request
	n    int
	req  []byte
	errs [batchMax]error
}

func newTalk() (*talk, error) {
	s, err := newSocket(bufCount, bufLen)
	if err != nil {
		return nil, err
	}
	if _, err := s.growBuffer(replyBuf); err != nil {
		s.close()
		return nil, err
	}
	return &talk{socket: s, req: make([]byte, 0, 16<<10)}, nil
}

func (t *talk) close() {
	if t != nil {
		t.socket.close()
	}
}

// reset begins a batch.
func (t *talk) reset() {
	t.seq += uint32(t.n)
	t.n = 0
	t.req = t.req[:0]
}

// next gives the sequence number for one more request of the batch, which the
// caller then appends to req with NLM_F_ACK set.
func (t *talk) next() uint32 {
	t.n++
	return t.seq + uint32(t.n) - 1
}

// do carries out the batch. each sees every answer that is not an
// acknowledgement, with the place of its request; errs[i] is then nil if request
// i was acknowledged, its errno, or errNoAnswer.
func (t *talk) do(each func(i int, msg []byte)) error {
	if t.n == 0 {
		return nil
	}
	for i := range t.n {
		t.errs[i] = errNoAnswer
	}
	if err := t.send(t.req); err != nil {
		return fmt.Errorf("send to conntrack: %w", err)
	}
	for {
		msgs, err := t.recv()
		if err != nil && !errors.Is(err, errLost) && !errors.Is(err, errCut) {
			return err
		}
		if err == nil && len(msgs) == 0 {
			return nil
		}
		for _, m := range msgs {
			t.sort(m, each)
		}
	}
}

func (t *talk) sort(datagram []byte, each func(i int, msg []byte)) {
	for len(datagram) > 0 {
		h, msg, rest, err := nextMessage(datagram)
		if err != nil {
			return
		}
		datagram = rest
		i := int(h.Seq - t.seq)
		if i < 0 || i >= t.n {
			continue
		}
		if h.Type != nlmsgErrorType {
			each(i, msg)
			continue
		}
		t.errs[i] = nil
		if e := errno(msg); e != 0 {
			t.errs[i] = e
		}
	}
}

// probe asks for the table's size, to learn whether conntrack is there and ours
// to ask.
func (t *talk) probe() error {
	t.reset()
	t.req = appendStats(t.req, t.next())
	if err := t.do(func(int, []byte) {}); err != nil {
		return err
	}
	switch err := t.errs[0]; {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("reading conntrack needs CAP_NET_ADMIN in this network namespace; run as root or give the capability: %w", err)
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("this kernel has no conntrack netlink; load nf_conntrack_netlink or build with CONFIG_NF_CT_NETLINK: %w", err)
	default:
		return fmt.Errorf("probe conntrack: %w", err)
	}
}
