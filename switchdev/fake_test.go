package switchdev

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/mdlayher/devlink"
	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
	"github.com/mdlayher/netlink/nltest"
	"github.com/safchain/ethtool"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev/wire"
)

const (
	devlinkFamily = 0x14
	ethtoolFamily = 0x15
)

// kernel is a kernel as far as this package asks it: a function from a netlink
// message to its answers, over state that a test sets up and changes.
type kernel struct {
	t      *testing.T
	mu     sync.Mutex
	devs   map[Handle]*kdev
	ports  []kport
	links  map[hwif.Ifindex]klink
	asked  []string // "DEVLINK_CMD_…" by number, in order
	refuse map[int]refusal
	torn   int // so many listings of links are interrupted
	// between is called after every listing of ports.
	between func(n int)
	listed  int
}

type kdev struct {
	mode, inline, encap uint16
	noEswitch           bool
	driver, board       string
	reloads             uint32
	reporters           []Reporter
}

type kport struct {
	dev     Handle
	index   uint32
	ifindex hwif.Ifindex
	flavour Flavour
	number  uint32
	pf, vf  uint16
	sf      uint32
}

type klink struct {
	name     string
	kind     string
	slave    string
	lower    hwif.Ifindex
	foreign  bool
	master   hwif.Ifindex
	flags    uint32
	mtu      uint32
	mac      hwif.MAC
	switchID []byte
	portName string
	parent   Handle
	port     *portKey
	data     []byte // IFLA_INFO_DATA
	slaveDat []byte
	offload  TCOffload
	event    uint32
}

// refusal is an answer with an errno and the kernel's words.
type refusal struct {
	errno unix.Errno
	text  string
}

func newKernel(t *testing.T) *kernel {
	return &kernel{t: t, devs: map[Handle]*kdev{}, links: map[hwif.Ifindex]klink{1: {name: "lo", flags: unix.IFF_LOOPBACK, mtu: 65536}}, refuse: map[int]refusal{}}
}

// Commands of both families, and RTM_GETLINK, as one number for refuse.
func cmd(family, c int) int { return family<<16 | c }

// conn is a Conn to it.
func (k *kernel) conn() *Conn {
	c := &Conn{route: nltest.Dial(k.rtnl), genl: genetlink.NewConn(nltest.Dial(k.genl)), devlink: devlinkFamily, ethtool: ethtoolFamily,
		bit: wire.NoBit, old: oldKernel{k}}
	c.devices = func() (out []*devlink.Device, err error) {
		k.mu.Lock()
		defer k.mu.Unlock()
		for _, h := range slices.SortedFunc(maps.Keys(k.devs), Handle.Compare) {
			out = append(out, &devlink.Device{Bus: h.Bus, Device: h.Name})
		}
		return out, nil
	}
	return c
}

// rtnl answers RTM_GETLINK.
func (k *kernel) rtnl(reqs []netlink.Message) ([]netlink.Message, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	req := reqs[0]
	if r, ok := k.refuse[cmd(0, int(req.Header.Type))]; ok {
		return refused(req, r)
	}
	if req.Header.Type != unix.RTM_GETLINK {
		k.t.Errorf("rtnetlink message %d", req.Header.Type)
	}
	var out []netlink.Message
	one := hwif.Ifindex(binary.NativeEndian.Uint32(req.Data[4:]))
	for _, i := range slices.Sorted(maps.Keys(k.links)) {
		if one == 0 || one == i {
			out = append(out, netlink.Message{Header: reply(req, unix.RTM_NEWLINK), Data: k.links[i].encode(i)})
		}
	}
	if one != 0 {
		if len(out) == 0 {
			return refused(req, refusal{unix.ENODEV, ""})
		}
		return out, nil
	}
	if k.torn > 0 {
		k.torn--
		for i := range out {
			out[i].Header.Flags |= netlink.DumpInterrupted
		}
	}
	return dump(req, out)
}

func reply(req netlink.Message, typ uint16) netlink.Header {
	return netlink.Header{Type: netlink.HeaderType(typ), Sequence: req.Header.Sequence, PID: req.Header.PID}
}

func dump(req netlink.Message, msgs []netlink.Message) ([]netlink.Message, error) {
	done := reply(req, unix.NLMSG_DONE)
	done.Flags = netlink.Multi // also when it is the only one, for which nltest forgets it
	return nltest.Multipart(append(msgs, netlink.Message{Header: done, Data: make([]byte, 4)}))
}

// refused is NLMSG_ERROR with NLMSGERR_ATTR_MSG.
func refused(req netlink.Message, r refusal) ([]netlink.Message, error) {
	b := binary.NativeEndian.AppendUint32(nil, uint32(-int32(r.errno)))
	h := make([]byte, 16)
	binary.NativeEndian.PutUint32(h, 16)
	binary.NativeEndian.PutUint32(h[8:], req.Header.Sequence)
	b = append(b, h...)
	hdr := reply(req, unix.NLMSG_ERROR)
	if r.text != "" {
		hdr.Flags = unix.NLM_F_ACK_TLVS | unix.NLM_F_CAPPED
		b = wire.PutString(b, unix.NLMSGERR_ATTR_MSG, r.text)
	}
	return []netlink.Message{{Header: hdr, Data: b}}, nil
}

// genl answers devlink and ethtool.
func (k *kernel) genl(reqs []netlink.Message) ([]netlink.Message, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	req := reqs[0]
	c, body := int(req.Data[0]), req.Data[4:]
	if r, ok := k.refuse[cmd(int(req.Header.Type), c)]; ok {
		return refused(req, r)
	}
	h := handleIn(body)
	answer := func(cmd int, b []byte) netlink.Message {
		return netlink.Message{Header: reply(req, uint16(req.Header.Type)), Data: append([]byte{byte(cmd), 1, 0, 0}, b...)}
	}
	if req.Header.Type == ethtoolFamily {
		return k.features(req, c, body, answer)
	}
	if req.Header.Flags&netlink.Dump == netlink.Dump {
		var out []netlink.Message
		switch c {
		case unix.DEVLINK_CMD_PORT_GET:
			for _, p := range k.ports {
				out = append(out, answer(unix.DEVLINK_CMD_PORT_NEW, p.encode()))
			}
			if k.listed++; k.between != nil {
				k.between(k.listed)
			}
		case unix.DEVLINK_CMD_HEALTH_REPORTER_GET:
			for _, h := range slices.SortedFunc(maps.Keys(k.devs), Handle.Compare) {
				for _, r := range k.devs[h].reporters {
					out = append(out, answer(c, encodeReporter(h, r)))
				}
			}
		default:
			k.t.Errorf("dump of devlink command %d", c)
		}
		return dump(req, out)
	}
	d, ok := k.devs[h]
	if !ok {
		return refused(req, refusal{unix.ENODEV, ""})
	}
	switch c {
	case unix.DEVLINK_CMD_GET:
		return []netlink.Message{answer(unix.DEVLINK_CMD_NEW, d.encode(h))}, nil
	case unix.DEVLINK_CMD_ESWITCH_GET, unix.DEVLINK_CMD_ESWITCH_SET:
		if d.noEswitch {
			return refused(req, refusal{unix.EOPNOTSUPP, ""})
		}
		if c == unix.DEVLINK_CMD_ESWITCH_SET {
			d.mode = binary.NativeEndian.Uint16(attr(body, unix.DEVLINK_ATTR_ESWITCH_MODE))
			return nltest.Error(0, reqs)
		}
		b := wire.PutU16(wire.PutHandle(nil, h), unix.DEVLINK_ATTR_ESWITCH_MODE, d.mode)
		b = wire.Put(b, unix.DEVLINK_ATTR_ESWITCH_INLINE_MODE, []byte{byte(d.inline)})
		return []netlink.Message{answer(c, wire.Put(b, unix.DEVLINK_ATTR_ESWITCH_ENCAP_MODE, []byte{byte(d.encap)}))}, nil
	case unix.DEVLINK_CMD_INFO_GET:
		k.asked = append(k.asked, "info "+h.String())
		if d.driver == "" {
			return refused(req, refusal{unix.EOPNOTSUPP, ""})
		}
		return []netlink.Message{answer(c, d.info(h))}, nil
	case unix.DEVLINK_CMD_PARAM_GET:
		return []netlink.Message{answer(c, encodeParam(h, string(bytes.TrimRight(attr(body, unix.DEVLINK_ATTR_PARAM_NAME), "\x00"))))}, nil
	}
	k.t.Errorf("devlink command %d", c)
	return nil, errors.New("not known")
}

// offloadBit is NETIF_F_HW_TC among the features of this kernel.
const offloadBit = 37

func (k *kernel) features(req netlink.Message, c int, body []byte, answer func(int, []byte) netlink.Message) ([]netlink.Message, error) {
	hdr := attr(body, unix.ETHTOOL_A_FEATURES_HEADER)
	i := hwif.Ifindex(binary.NativeEndian.Uint32(attr(hdr, unix.ETHTOOL_A_HEADER_DEV_INDEX)))
	l, ok := k.links[i]
	if !ok {
		return refused(req, refusal{unix.ENODEV, "no device matches index"})
	}
	var flags uint32
	if f := attr(hdr, unix.ETHTOOL_A_HEADER_FLAGS); f != nil {
		flags = binary.NativeEndian.Uint32(f)
	}
	if c == unix.ETHTOOL_MSG_FEATURES_SET {
		bit := attr(attr(attr(body, unix.ETHTOOL_A_FEATURES_WANTED), unix.ETHTOOL_A_BITSET_BITS), unix.ETHTOOL_A_BITSET_BITS_BIT)
		if string(attr(bit, unix.ETHTOOL_A_BITSET_BIT_NAME)) != "hw-tc-offload\x00" || flags&2 == 0 {
			k.t.Errorf("set % x", body)
		}
		if !l.offload.Fixed() { // and nothing comes of it otherwise, without an error
			l.offload = TCOffloadOff
			if attr(bit, unix.ETHTOOL_A_BITSET_BIT_VALUE) != nil {
				l.offload = TCOffloadOn
			}
			k.links[i] = l
		}
		return nltest.Error(0, []netlink.Message{req})
	}
	b := wire.PutNest(nil, unix.ETHTOOL_A_FEATURES_HEADER, wire.PutU32(nil, unix.ETHTOOL_A_HEADER_DEV_INDEX, uint32(i)))
	sets := []struct {
		typ  uint16
		mask bool
		on   bool
	}{
		{unix.ETHTOOL_A_FEATURES_HW, true, l.offload == TCOffloadOff || l.offload == TCOffloadOn},
		{unix.ETHTOOL_A_FEATURES_WANTED, false, l.offload.On()},
		{unix.ETHTOOL_A_FEATURES_ACTIVE, false, l.offload.On()},
		{unix.ETHTOOL_A_FEATURES_NOCHANGE, false, false},
	}
	for _, s := range sets {
		if flags&1 != 0 {
			b = wire.PutNest(b, s.typ, compactSet(s.on))
		} else {
			b = wire.PutNest(b, s.typ, namedSet(s.mask, s.on))
		}
	}
	return []netlink.Message{answer(c, b)}, nil
}

func compactSet(on bool) []byte {
	v := make([]byte, 8)
	v[0] = 1 // another feature, always on
	if on {
		v[offloadBit/8] |= 1 << (offloadBit % 8)
	}
	return wire.Put(wire.PutU32(nil, unix.ETHTOOL_A_BITSET_SIZE, 64), unix.ETHTOOL_A_BITSET_VALUE, v)
}

// namedSet lists all features and marks those that are on, or without mask
// lists those that are on.
func namedSet(mask, on bool) []byte {
	var bits []byte
	for _, f := range []struct {
		bit  uint32
		name string
		on   bool
	}{{0, "tx-scatter-gather", true}, {offloadBit, "hw-tc-offload", on}} {
		if !mask && !f.on {
			continue
		}
		one := wire.PutString(wire.PutU32(nil, unix.ETHTOOL_A_BITSET_BIT_INDEX, f.bit), unix.ETHTOOL_A_BITSET_BIT_NAME, f.name)
		if mask && f.on {
			one = wire.Put(one, unix.ETHTOOL_A_BITSET_BIT_VALUE, nil)
		}
		bits = wire.PutNest(bits, unix.ETHTOOL_A_BITSET_BITS_BIT, one)
	}
	var b []byte
	if !mask {
		b = wire.Put(b, unix.ETHTOOL_A_BITSET_NOMASK, nil)
	}
	return wire.PutNest(wire.PutU32(b, unix.ETHTOOL_A_BITSET_SIZE, 64), unix.ETHTOOL_A_BITSET_BITS, bits)
}

// oldKernel is the same by ioctl.
type oldKernel struct{ k *kernel }

func (o oldKernel) link(name string) (hwif.Ifindex, klink, error) {
	for i, l := range o.k.links {
		if l.name == name {
			return i, l, nil
		}
	}
	return 0, klink{}, unix.ENODEV
}

func (o oldKernel) DriverName(name string) (string, error) {
	o.k.mu.Lock()
	defer o.k.mu.Unlock()
	_, l, err := o.link(name)
	if l.portName == "p0" {
		return "mlx5_core", err
	}
	return "mlx5e_rep", err
}

func (o oldKernel) FeaturesWithState(name string) (map[string]ethtool.FeatureState, error) {
	o.k.mu.Lock()
	defer o.k.mu.Unlock()
	_, l, err := o.link(name)
	return map[string]ethtool.FeatureState{"hw-tc-offload": {Available: !l.offload.Fixed(), Active: l.offload.On()}}, err
}

func (o oldKernel) Change(name string, to map[string]bool) error {
	o.k.mu.Lock()
	defer o.k.mu.Unlock()
	i, l, err := o.link(name)
	if err != nil || l.offload.Fixed() {
		return err
	}
	l.offload = TCOffloadOff
	if to["hw-tc-offload"] {
		l.offload = TCOffloadOn
	}
	o.k.links[i] = l
	return nil
}

func (oldKernel) Close() error { return nil }
