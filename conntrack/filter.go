package conntrack

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// Extensions of classic BPF in Linux (linux/filter.h): A is where to look from,
// X which attribute to find; the answer is its offset, 0 when there is none.
const (
	skfAdOff        = -0x1000
	skfAdNlattr     = 12
	skfAdNlattrNest = 16
)

// wanted is the filter's rule said in Go: the kernel's filter lets pass what it
// cannot read, and a listing is not filtered by it at all.
func wanted(e *flow.Entry, assured bool) bool {
	if e.Orig.Proto != hwif.ProtoTCP && e.Orig.Proto != hwif.ProtoUDP {
		return false
	}
	return !assured || e.Status&flow.StatusAssured != 0
}

// eventFilter lets TCP and UDP pass. With assured it also drops the UPDATE and
// DESTROY of entries that are not assured; every NEW stays, because it tells of
// the reuse of a tuple. It runs before the message is charged to the receive
// buffer, so what it drops cannot cause a loss.
func eventFilter(assured bool) []unix.SockFilter {
	const accept, drop = "accept", "drop"
	var p program
	p.op(unix.BPF_LD|unix.BPF_IMM, attrsAt)
	p.find(skfAdNlattr, ctaTupleOrig, accept)
	p.find(skfAdNlattrNest, ctaTupleProto, accept)
	p.find(skfAdNlattrNest, ctaProtoNum, accept)
	p.op(unix.BPF_MISC|unix.BPF_TAX, 0)
	p.op(unix.BPF_LD|unix.BPF_B|unix.BPF_IND, 4)
	p.jump(unix.BPF_JEQ, uint32(hwif.ProtoTCP), "ported", "")
	p.jump(unix.BPF_JEQ, uint32(hwif.ProtoUDP), "ported", drop)
	p.label("ported")
	if assured {
		typ, flags := uint32(4), uint32(7) // bytes of nlmsghdr, little endian
		if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
			typ, flags = 5, 6
		}
		p.op(unix.BPF_LD|unix.BPF_B|unix.BPF_ABS, typ)
		p.jump(unix.BPF_JEQ, msgDelete, "status", "")
		p.op(unix.BPF_LD|unix.BPF_B|unix.BPF_ABS, flags)
		p.jump(unix.BPF_JSET, unix.NLM_F_CREATE>>8, accept, "")
		p.label("status")
		p.op(unix.BPF_LD|unix.BPF_IMM, attrsAt)
		p.find(skfAdNlattr, ctaStatus, accept)
		p.op(unix.BPF_MISC|unix.BPF_TAX, 0)
		p.op(unix.BPF_LD|unix.BPF_W|unix.BPF_IND, 4)
		p.jump(unix.BPF_JSET, flow.StatusAssured, accept, drop)
	}
	p.label(accept)
	p.op(unix.BPF_RET|unix.BPF_K, 0xffffffff)
	p.label(drop)
	p.op(unix.BPF_RET|unix.BPF_K, 0)
	return p.link()
}

// program is classic BPF with labels instead of counted jumps.
type program struct {
	ins    []unix.SockFilter
	jumps  []jump
	labels map[string]int
}

type jump struct {
	at      int
	yes, no string // "" goes on with the next instruction
}

func (p *program) op(code uint16, k uint32) {
	p.ins = append(p.ins, unix.SockFilter{Code: code, K: k})
}

func (p *program) label(name string) {
	if p.labels == nil {
		p.labels = make(map[string]int)
	}
	p.labels[name] = len(p.ins)
}

func (p *program) jump(cond uint16, k uint32, yes, no string) {
	p.jumps = append(p.jumps, jump{len(p.ins), yes, no})
	p.op(unix.BPF_JMP|cond|unix.BPF_K, k)
}

// find moves A to the attribute, or jumps to missing.
func (p *program) find(how int32, attr uint32, missing string) {
	p.op(unix.BPF_LDX|unix.BPF_IMM, attr)
	p.op(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, uint32(skfAdOff+how))
	p.jump(unix.BPF_JEQ, 0, missing, "")
}

func (p *program) link() []unix.SockFilter {
	distance := func(at int, label string) uint8 {
		if label == "" {
			return 0
		}
		return uint8(p.labels[label] - at - 1)
	}
	for _, j := range p.jumps {
		p.ins[j.at].Jt, p.ins[j.at].Jf = distance(j.at, j.yes), distance(j.at, j.no)
	}
	return p.ins
}

// filter attaches a program to the socket.
func (s *socket) filter(ins []unix.SockFilter) error {
	prog := unix.SockFprog{Len: uint16(len(ins)), Filter: &ins[0]}
	if err := unix.SetsockoptSockFprog(s.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog); err != nil {
		return fmt.Errorf("attach socket filter: %w", err)
	}
	return nil
}
