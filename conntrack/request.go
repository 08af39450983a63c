package conntrack

import (
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// appendTuple appends t as CTA_TUPLE_ORIG, which finds an entry by either of
// its tuples (nf_conntrack_find_get), and its zone as CTA_ZONE, which finds
// zones of one direction too.
func appendTuple(b []byte, t *flow.Tuple) []byte {
	b, tuple := nest(b, ctaTupleOrig)
	b, ip := nest(b, ctaTupleIP)
	if t.Family == hwif.IPv4 {
		b = attr(b, ctaIPv4Src, t.Src[:4]...)
		b = attr(b, ctaIPv4Dst, t.Dst[:4]...)
	} else {
		b = attr(b, ctaIPv6Src, t.Src[:]...)
		b = attr(b, ctaIPv6Dst, t.Dst[:]...)
	}
	b = endNest(b, ip)
	b, proto := nest(b, ctaTupleProto)
	b = attr(b, ctaProtoNum, t.Proto)
	b = attr16(b, ctaProtoSrcPort, t.SrcPort)
	b = attr16(b, ctaProtoDstPort, t.DstPort)
	b = endNest(b, proto)
	b = endNest(b, tuple)
	if t.Zone != 0 {
		b = attr16(b, ctaZone, t.Zone)
	}
	return b
}

func addressFamily(f hwif.Family) uint8 {
	if f == hwif.IPv6 {
		return unix.AF_INET6
	}
	return unix.AF_INET
}

// appendGet appends a request for one entry.
func appendGet(b []byte, seq uint32, t *flow.Tuple) []byte {
	b, at := begin(b, typeGet, unix.NLM_F_REQUEST|unix.NLM_F_ACK, seq, addressFamily(t.Family))
	return end(appendTuple(b, t), at)
}

// change is what is written to an entry. It names no mark, no status and no
// CTA_ID: the kernel would overwrite the first, refuse or silently ignore the
// second, and not look at the third.
type change struct {
	timeout uint32 // seconds, 0 leaves it alone
	liberal bool   // TCP: BE_LIBERAL set, DATA_UNACK and MAXACK_SET cleared, both directions
}

func (c change) empty() bool { return c == change{} }

// appendChange appends a change of the entry with t. Without NLM_F_CREATE a
// missing entry is ENOENT.
func appendChange(b []byte, seq uint32, t *flow.Tuple, c change) []byte {
	b, at := begin(b, typeNew, unix.NLM_F_REQUEST|unix.NLM_F_ACK, seq, addressFamily(t.Family))
	b = appendTuple(b, t)
	if c.timeout != 0 {
		b = attr32(b, ctaTimeout, c.timeout)
	}
	if c.liberal {
		var info, tcp int
		b, info = nest(b, ctaProtoinfo)
		b, tcp = nest(b, ctaProtoinfoTCP)
		b = attr(b, ctaProtoinfoTCPFlagsOrig, tcpReadyValue, tcpReadyMask)
		b = attr(b, ctaProtoinfoTCPFlagsReply, tcpReadyValue, tcpReadyMask)
		b = endNest(b, tcp)
		b = endNest(b, info)
	}
	return end(b, at)
}

// appendDump appends a request for the whole table of every family. With
// assured, kernels that know CTA_STATUS as a filter leave out the rest; others
// ignore it, so the reader looks again.
func appendDump(b []byte, seq uint32, assured bool) []byte {
	b, at := begin(b, typeGet, unix.NLM_F_REQUEST|unix.NLM_F_DUMP, seq, unix.AF_UNSPEC)
	if assured {
		b = attr32(b, ctaStatus, flow.StatusAssured)
		b = attr32(b, ctaStatusMask, flow.StatusAssured)
	}
	return end(b, at)
}

// appendStats appends a request for the table's size, which the kernel answers
// only to those who may do all the rest.
func appendStats(b []byte, seq uint32) []byte {
	b, at := begin(b, typeGetStats, unix.NLM_F_REQUEST|unix.NLM_F_ACK, seq, unix.AF_UNSPEC)
	return end(b, at)
}
