package conntrack

import (
	"encoding/binary"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// decodeTuple reads a CTA_TUPLE_* nest.
func decodeTuple(b []byte, t *flow.Tuple) *DecodeError {
	*t = flow.Tuple{}
	for len(b) > 0 {
		typ, v, rest, ok := cut(b)
		if !ok {
			return badLength("nlattr", b)
		}
		b = rest
		switch typ {
		case ctaTupleIP:
			if err := decodeIP(v, t); err != nil {
				return err.in("CTA_TUPLE_IP")
			}
		case ctaTupleProto:
			if err := decodeProto(v, t); err != nil {
				return err.in("CTA_TUPLE_PROTO")
			}
		case ctaTupleZone:
			if len(v) != 2 {
				return wrongSize("CTA_TUPLE_ZONE", len(v), 2)
			}
			t.Zone = binary.BigEndian.Uint16(v)
		}
	}
	switch {
	case t.Family == hwif.FamilyNone:
		return &DecodeError{Attr: "CTA_TUPLE_IP", Text: "missing"}
	case t.Proto == 0:
		return &DecodeError{Attr: "CTA_TUPLE_PROTO", Text: "missing"}
	}
	return nil
}

// decodeIP reads CTA_TUPLE_IP: source and destination of one family.
func decodeIP(b []byte, t *flow.Tuple) *DecodeError {
	var seen uint8 // 1 << attribute
	for len(b) > 0 {
		typ, v, rest, ok := cut(b)
		if !ok {
			return badLength("nlattr", b)
		}
		b = rest
		switch typ {
		case ctaIPv4Src, ctaIPv4Dst:
			if len(v) != 4 {
				return wrongSize(ipNames[typ], len(v), 4)
			}
			a := hwif.Addr{v[0], v[1], v[2], v[3]}
			if typ == ctaIPv4Src {
				t.Src = a
			} else {
				t.Dst = a
			}
		case ctaIPv6Src, ctaIPv6Dst:
			if len(v) != 16 {
				return wrongSize(ipNames[typ], len(v), 16)
			}
			if typ == ctaIPv6Src {
				t.Src = hwif.Addr(v)
			} else {
				t.Dst = hwif.Addr(v)
			}
		default:
			continue
		}
		seen |= 1 << typ
	}
	switch seen {
	case 1<<ctaIPv4Src | 1<<ctaIPv4Dst:
		t.Family = hwif.IPv4
	case 1<<ctaIPv6Src | 1<<ctaIPv6Dst:
		t.Family = hwif.IPv6
	default:
		return &DecodeError{Attr: "CTA_IP", Text: "not one source and one destination of one family"}
	}
	return nil
}

var ipNames = [...]string{"", "CTA_IP_V4_SRC", "CTA_IP_V4_DST", "CTA_IP_V6_SRC", "CTA_IP_V6_DST"}

// decodeProto reads CTA_TUPLE_PROTO. TCP and UDP must bring both ports; what
// ICMP and others bring instead is passed over.
func decodeProto(b []byte, t *flow.Tuple) *DecodeError {
	var ports uint8
	for len(b) > 0 {
		typ, v, rest, ok := cut(b)
		if !ok {
			return badLength("nlattr", b)
		}
		b = rest
		switch typ {
		case ctaProtoNum:
			if len(v) != 1 {
				return wrongSize("CTA_PROTO_NUM", len(v), 1)
			}
			t.Proto = v[0]
		case ctaProtoSrcPort:
			if len(v) != 2 {
				return wrongSize("CTA_PROTO_SRC_PORT", len(v), 2)
			}
			t.SrcPort = binary.BigEndian.Uint16(v)
			ports |= 1
		case ctaProtoDstPort:
			if len(v) != 2 {
				return wrongSize("CTA_PROTO_DST_PORT", len(v), 2)
			}
			t.DstPort = binary.BigEndian.Uint16(v)
			ports |= 2
		}
	}
	if ports != 3 && (t.Proto == hwif.ProtoTCP || t.Proto == hwif.ProtoUDP) {
		return &DecodeError{Attr: "CTA_PROTO_PORT", Text: "not both ports of " + hwif.ProtoName(t.Proto)}
	}
	return nil
}

// decodeProtoinfo reads CTA_PROTOINFO, of which only TCP's matters here.
func decodeProtoinfo(b []byte, e *flow.Entry) *DecodeError {
	for len(b) > 0 {
		typ, v, rest, ok := cut(b)
		if !ok {
			return badLength("nlattr", b)
		}
		b = rest
		if typ == ctaProtoinfoTCP {
			if err := decodeTCP(v, e); err != nil {
				return err.in("CTA_PROTOINFO_TCP")
			}
		}
	}
	return nil
}

// decodeTCP reads the state, and the flags, which a DESTROY does not bring.
// Flags come as struct nf_ct_tcp_flags: flags, mask.
func decodeTCP(b []byte, e *flow.Entry) *DecodeError {
	for len(b) > 0 {
		typ, v, rest, ok := cut(b)
		if !ok {
			return badLength("nlattr", b)
		}
		b = rest
		switch typ {
		case ctaProtoinfoTCPState:
			if len(v) != 1 {
				return wrongSize("CTA_PROTOINFO_TCP_STATE", len(v), 1)
			}
			e.TCPState = flow.TCPState(v[0])
			e.Has |= flow.HasTCP
		case ctaProtoinfoTCPFlagsOrig, ctaProtoinfoTCPFlagsReply:
			if len(v) != 2 {
				return wrongSize("CTA_PROTOINFO_TCP_FLAGS", len(v), 2)
			}
			e.TCPFlags[typ-ctaProtoinfoTCPFlagsOrig] = v[0]
		}
	}
	return nil
}

func decodeCounters(b []byte, e *flow.Entry, d flow.Dir) *DecodeError {
	for len(b) > 0 {
		typ, v, rest, ok := cut(b)
		if !ok {
			return badLength("nlattr", b)
		}
		b = rest
		if typ != ctaCountersPackets && typ != ctaCountersBytes {
			continue
		}
		if len(v) != 8 {
			return wrongSize("CTA_COUNTERS", len(v), 8)
		}
		n := binary.BigEndian.Uint64(v)
		if typ == ctaCountersPackets {
			e.Packets[d] = n
		} else {
			e.Bytes[d] = n
		}
		e.Has |= flow.HasCounters
	}
	return nil
}

func decodeTimestamp(b []byte, e *flow.Entry) *DecodeError {
	for len(b) > 0 {
		typ, v, rest, ok := cut(b)
		if !ok {
			return badLength("nlattr", b)
		}
		b = rest
		if typ != ctaTimestampStart {
			continue
		}
		if len(v) != 8 {
			return wrongSize("CTA_TIMESTAMP_START", len(v), 8)
		}
		e.Start = binary.BigEndian.Uint64(v)
		e.Has |= flow.HasStart
	}
	return nil
}
