package doctor

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

// classifier is what one chain and prio of a port's ingress holds.
type classifier struct {
	chain   uint32
	prio    uint16
	kind    string // "flower", "matchall", "bpf"
	filters int
	ours    int  // of them with a cookie of shunt's
	skipSW  int  // of them in hardware alone
	cookies int  // of them with a cookie that is not shunt's
	more    bool // the listing was broken off; there are more
}

// listMost is how many filters are read of one port before the listing is broken
// off: each part of it holds the kernel's lock.
const listMost = 100_000

// Attributes of a filter message (include/uapi/linux/rtnetlink.h, pkt_cls.h).
const (
	tcaKind      = 1
	tcaOptions   = 2
	tcaChain     = 11
	tcaDumpFlags = 15

	flowerAct   = 3
	flowerFlags = 22
	skipSW      = 2

	actCookie = 6
)

// tcm is where the parts of struct tcmsg stand.
const (
	sizeofTcmsg  = 20
	ingressOf    = 0xfffffff2 // TC_H_CLSACT, TC_H_MIN_INGRESS
	blockMagic   = 0xffffffff // TCM_IFINDEX_MAGIC_BLOCK
	terseListing = 1          // TCA_DUMP_FLAGS_TERSE
)

var ne = binary.NativeEndian

// readClassifiers lists what hangs at an interface's ingress, whoever made it. It
// asks for filters without their keys; of classifiers that know no such form
// (matchall, bpf) the kernel then names no filter, and they are asked for again.
func readClassifiers(ctx context.Context, dev hwif.Ifindex, block uint32) ([]classifier, error) {
	out, err := listFilters(ctx, dev, block, 0, true)
	for i := range out {
		if err == nil && out[i].kind != "flower" && out[i].filters == 0 {
			var whole []classifier
			whole, err = listFilters(ctx, dev, block, out[i].prio, false)
			for _, c := range whole {
				if c.chain == out[i].chain && c.kind == out[i].kind {
					out[i] = c
				}
			}
		}
	}
	return out, err
}

// listFilters lists those of one prio, or with 0 of all.
func listFilters(ctx context.Context, dev hwif.Ifindex, block uint32, prio uint16, terse bool) ([]classifier, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("netlink socket: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, listRequest(dev, block, prio, terse), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, fmt.Errorf("list filters: %w", err)
	}
	var t tallies
	buf := make([]byte, 64<<10)
	for total := 0; ; {
		if err := ctx.Err(); err != nil {
			return t.list, err
		}
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list filters: %w", err)
		}
		done, got, err := t.take(buf[:n])
		if err != nil || done {
			return t.list, err
		}
		if total += got; total > listMost {
			for i := range t.list {
				t.list[i].more = true
			}
			return t.list, nil
		}
	}
}

// listRequest asks for the filters of an ingress.
func listRequest(dev hwif.Ifindex, block uint32, prio uint16, terse bool) []byte {
	b := make([]byte, unix.SizeofNlMsghdr+sizeofTcmsg)
	ne.PutUint16(b[4:], unix.RTM_GETTFILTER)
	ne.PutUint16(b[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	ne.PutUint32(b[8:], 1)
	tcm := b[unix.SizeofNlMsghdr:]
	ne.PutUint32(tcm[4:], uint32(dev))
	ne.PutUint32(tcm[12:], ingressOf)
	ne.PutUint32(tcm[16:], uint32(prio)<<16)
	if block != 0 {
		ne.PutUint32(tcm[4:], blockMagic)
		ne.PutUint32(tcm[12:], block)
	}
	if terse {
		b = ne.AppendUint16(b, 4+8)
		b = ne.AppendUint16(b, tcaDumpFlags)
		b = ne.AppendUint32(b, terseListing) // struct nla_bitfield32: value, selector
		b = ne.AppendUint32(b, terseListing)
	}
	ne.PutUint32(b, uint32(len(b)))
	return b
}

// tallies counts filters by chain and prio.
type tallies struct{ list []classifier }

// take counts one part of a listing.
func (t *tallies) take(b []byte) (done bool, filters int, err error) {
	for len(b) >= unix.SizeofNlMsghdr {
		size := int(ne.Uint32(b))
		if size < unix.SizeofNlMsghdr || size > len(b) {
			return true, filters, errors.New("list filters: a message is cut short")
		}
		body := b[unix.SizeofNlMsghdr:size]
		switch ne.Uint16(b[4:]) {
		case unix.NLMSG_DONE:
			return true, filters, nil
		case unix.NLMSG_ERROR:
			if len(body) >= 4 && ne.Uint32(body) != 0 {
				return true, filters, fmt.Errorf("list filters: %w", unix.Errno(-int32(ne.Uint32(body))))
			}
			return true, filters, nil
		case unix.RTM_NEWTFILTER:
			if len(body) >= sizeofTcmsg {
				t.filter(body)
				filters++
			}
		}
		b = b[min((size+3)&^3, len(b)):]
	}
	return false, filters, nil
}

// filter counts one. The line of a classifier itself has handle 0; one without any
// filter has nothing else.
func (t *tallies) filter(body []byte) {
	c := classifier{prio: uint16(ne.Uint32(body[16:]) >> 16)}
	var opts []byte
	for typ, v := range attributes(body[sizeofTcmsg:]) {
		switch {
		case typ == tcaKind:
			c.kind = unix.ByteSliceToString(v)
		case typ == tcaChain && len(v) == 4:
			c.chain = ne.Uint32(v)
		case typ == tcaOptions:
			opts = v
		}
	}
	at := slices.IndexFunc(t.list, func(o classifier) bool { return o.chain == c.chain && o.prio == c.prio && o.kind == c.kind })
	if at < 0 {
		t.list = append(t.list, c)
		slices.SortFunc(t.list, func(a, b classifier) int {
			return cmp.Or(cmp.Compare(a.chain, b.chain), cmp.Compare(a.prio, b.prio), cmp.Compare(a.kind, b.kind))
		})
		at = slices.IndexFunc(t.list, func(o classifier) bool { return o.chain == c.chain && o.prio == c.prio && o.kind == c.kind })
	}
	if ne.Uint32(body[8:]) == 0 && len(opts) == 0 {
		return
	}
	k := &t.list[at]
	k.filters++
	if c.kind != "flower" {
		return
	}
	for typ, v := range attributes(opts) {
		switch {
		case typ == flowerFlags && len(v) == 4 && ne.Uint32(v)&skipSW != 0:
			k.skipSW++
		case typ == flowerAct:
			k.cookie(v)
		}
	}
}

// cookie looks at the last action's, where shunt's stands.
func (c *classifier) cookie(acts []byte) {
	var last []byte
	for _, act := range attributes(acts) {
		last = act
	}
	for typ, v := range attributes(last) {
		if typ != actCookie {
			continue
		}
		var ck hwif.Cookie
		if len(v) == len(ck) {
			copy(ck[:], v)
		}
		if ours(ck) {
			c.ours++
		} else {
			c.cookies++
		}
	}
}

// ours reports whether a cookie is shunt's: a flow's, or one of a guard or probe,
// which has another word where a flow's has its direction (drivers/flower).
func ours(c hwif.Cookie) bool {
	const roles = 3
	if c[5] <= roles {
		c[5] = 0
	}
	return c.Ours()
}

// attributes walks netlink attributes; what is cut short ends the walk.
func attributes(b []byte) func(yield func(uint16, []byte) bool) {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= 4 {
			n := int(ne.Uint16(b))
			if n < 4 || n > len(b) {
				return
			}
			if !yield(ne.Uint16(b[2:])&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER), b[4:n]) {
				return
			}
			b = b[min((n+3)&^3, len(b)):]
		}
	}
}
