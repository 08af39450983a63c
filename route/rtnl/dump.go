package rtnl

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

// Headers of dump requests. Without strict checking the kernel needs the family
// and, for links, the whole struct ifinfomsg before attributes.

// Links lists every interface. The qdiscs are listed once for all that need it.
func (c *Conn) Links(each func(Link)) error {
	hdr := make([]byte, unix.SizeofIfInfomsg, unix.SizeofIfInfomsg+8)
	hdr = put32(hdr, unix.IFLA_EXT_MASK, extSkipStats)
	var deep []Link
	err := c.Dump(unix.RTM_GETLINK, hdr, func(m Msg) {
		l, ok := ParseLink(m.Body, false)
		switch {
		case !ok || m.Type != unix.RTM_NEWLINK:
		case l.Deep():
			deep = append(deep, l)
		default:
			each(l)
		}
	})
	if err != nil || len(deep) == 0 {
		return err
	}
	held, err := c.shapers()
	if err != nil {
		return err
	}
	for _, l := range deep {
		l.Shaper = held[l.Index]
		each(l)
	}
	return nil
}

// Neighs lists every IPv4 and IPv6 neighbour.
func (c *Conn) Neighs(each func(Neigh)) error {
	return c.Dump(unix.RTM_GETNEIGH, make([]byte, unix.SizeofNdMsg), func(m Msg) {
		if n, ok := ParseNeigh(m.Body); ok {
			each(n)
		}
	})
}

// Rules lists the policy routing rules of a family. A kernel without policy
// routing has none.
func (c *Conn) Rules(f hwif.Family, each func(Rule)) error {
	hdr := make([]byte, 12)
	hdr[0] = AF(f)
	err := c.Dump(unix.RTM_GETRULE, hdr, func(m Msg) {
		if r, ok := ParseRule(m.Body); ok {
			each(r)
		}
	})
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EAFNOSUPPORT) {
		return nil
	}
	return err
}

// Confs lists the forwarding configuration of a family. A kernel without the
// family has none.
func (c *Conn) Confs(f hwif.Family, each func(Conf)) error {
	err := c.Dump(unix.RTM_GETNETCONF, []byte{AF(f), 0, 0, 0}, func(m Msg) {
		if v, ok := ParseConf(m.Body); ok {
			each(v)
		}
	})
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EAFNOSUPPORT) {
		return nil
	}
	return err
}

// Addresses lists the local addresses.
func (c *Conn) Addresses(each func(Address)) error {
	return c.Dump(unix.RTM_GETADDR, make([]byte, unix.SizeofIfAddrmsg), func(m Msg) {
		if a, ok := ParseAddress(m.Body); ok {
			each(a)
		}
	})
}

// Routes lists the routes of a family in all tables, without the cached ones.
func (c *Conn) Routes(f hwif.Family, each func(*Route)) error {
	hdr := make([]byte, unix.SizeofRtMsg)
	hdr[0] = AF(f)
	return c.Dump(unix.RTM_GETROUTE, hdr, func(m Msg) {
		if r, ok := ParseRoute(m.Body); ok && r.Flags&unix.RTM_F_CLONED == 0 {
			each(&r)
		}
	})
}

// Policies lists the XFRM policies, of a Conn of unix.NETLINK_XFRM, and says
// whether the default policy blocks forwarded packets (Linux 5.15 and later).
func (c *Conn) Policies(each func(Policy)) (blocks bool, err error) {
	err = c.Dump(xfrmMsgGetPolicy, nil, func(m Msg) {
		if p, ok := ParsePolicy(m.Body); ok && m.Type == xfrmMsgNewPolicy {
			each(p)
		}
	})
	if err != nil {
		return false, err
	}
	c.seq++
	b, at := begin(c.out[:0], xfrmMsgGetDefault, unix.NLM_F_REQUEST, c.seq)
	c.out = end(append(b, 0, 0, 0, 0), at)
	err = c.exchange(func(m Msg) error { blocks = parseDefault(m.Body); return nil }, false)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
		return false, nil
	}
	return blocks, err
}
