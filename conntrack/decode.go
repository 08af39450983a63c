package conntrack

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// DecodeError says which attribute of a message was malformed.
type DecodeError struct {
	Attr string // path of kernel names: "CTA_TUPLE_ORIG/CTA_TUPLE_IP"
	Text string
}

func (e *DecodeError) Error() string { return "conntrack message: " + e.Attr + ": " + e.Text }

// in puts the parent's name in front, on the way up.
func (e *DecodeError) in(parent string) *DecodeError {
	if e != nil {
		e.Attr = parent + "/" + e.Attr
	}
	return e
}

func wrongSize(name string, got, want int) *DecodeError {
	return &DecodeError{Attr: name, Text: fmt.Sprintf("%d bytes, need %d", got, want)}
}

// Decode reads one ctnetlink entry, header included, into e, which it overwrites.
// Attributes may come in any order; unknown ones are passed over. Both tuples
// must be there; the rest is optional and noted in e.Has. Errors are
// *DecodeError, and e is then in no useful state. It allocates only to fail.
func Decode(msg []byte, e *flow.Entry) error {
	if err := decode(msg, e); err != nil {
		return err
	}
	return nil
}

func decode(msg []byte, e *flow.Entry) *DecodeError {
	*e = flow.Entry{}
	if len(msg) < attrsAt {
		return wrongSize("nfgenmsg", len(msg), attrsAt)
	}
	var zone uint16
	b := msg[attrsAt:]
	for len(b) > 0 {
		typ, v, rest, ok := cut(b)
		if !ok {
			return badLength("nlattr", b)
		}
		b = rest
		var err *DecodeError
		switch typ {
		case ctaTupleOrig:
			err = decodeTuple(v, &e.Orig).in("CTA_TUPLE_ORIG")
		case ctaTupleReply:
			err = decodeTuple(v, &e.Reply).in("CTA_TUPLE_REPLY")
		case ctaStatus, ctaTimeout, ctaMark, ctaID:
			if len(v) != 4 {
				return wrongSize(attrNames[typ], len(v), 4)
			}
			setWord(e, typ, binary.BigEndian.Uint32(v))
		case ctaZone:
			if len(v) != 2 {
				return wrongSize("CTA_ZONE", len(v), 2)
			}
			zone = binary.BigEndian.Uint16(v)
		case ctaProtoinfo:
			err = decodeProtoinfo(v, e).in("CTA_PROTOINFO")
		case ctaCountersOrig:
			err = decodeCounters(v, e, flow.Orig).in("CTA_COUNTERS_ORIG")
		case ctaCountersReply:
			err = decodeCounters(v, e, flow.Reply).in("CTA_COUNTERS_REPLY")
		case ctaTimestamp:
			err = decodeTimestamp(v, e).in("CTA_TIMESTAMP")
		case ctaHelp:
			e.Has |= flow.HasHelp
		case ctaSeqAdjOrig, ctaSeqAdjReply:
			e.Has |= flow.HasSeqAdj
		case ctaSynproxy:
			e.Has |= flow.HasSynproxy
		}
		if err != nil {
			return err
		}
	}
	return settle(msg[headerLen], zone, e)
}

func setWord(e *flow.Entry, typ uint16, v uint32) {
	switch typ {
	case ctaStatus:
		e.Status = v
	case ctaTimeout:
		e.Timeout, e.Has = v, e.Has|flow.HasTimeout
	case ctaMark:
		e.Mark, e.Has = v, e.Has|flow.HasMark
	case ctaID:
		e.ID = v
	}
}

// settle checks what can be seen only when all attributes were read. CTA_ZONE
// stands for both directions, CTA_TUPLE_ZONE for its own.
func settle(nfgen uint8, zone uint16, e *flow.Entry) *DecodeError {
	if e.Orig.Family == hwif.FamilyNone {
		return &DecodeError{Attr: "CTA_TUPLE_ORIG", Text: "missing"}
	}
	if e.Reply.Family == hwif.FamilyNone {
		return &DecodeError{Attr: "CTA_TUPLE_REPLY", Text: "missing"}
	}
	if e.Orig.Family != e.Reply.Family || e.Orig.Proto != e.Reply.Proto {
		return &DecodeError{Attr: "CTA_TUPLE_REPLY", Text: "other family or protocol than CTA_TUPLE_ORIG"}
	}
	if want := familyOf(nfgen); want != hwif.FamilyNone && want != e.Orig.Family {
		return &DecodeError{Attr: "CTA_TUPLE_ORIG", Text: "other family than nfgenmsg"}
	}
	if zone != 0 {
		if e.Orig.Zone == 0 {
			e.Orig.Zone = zone
		}
		if e.Reply.Zone == 0 {
			e.Reply.Zone = zone
		}
	}
	return nil
}

// familyOf converts an address family of the socket API to hwif's.
func familyOf(af uint8) hwif.Family {
	switch af {
	case unix.AF_INET:
		return hwif.IPv4
	case unix.AF_INET6:
		return hwif.IPv6
	}
	return hwif.FamilyNone
}

// cut takes the first attribute off b. Only the last one may lack its padding.
func cut(b []byte) (typ uint16, v, rest []byte, ok bool) {
	if len(b) < 4 {
		return 0, nil, nil, false
	}
	n := int(binary.NativeEndian.Uint16(b))
	if n < 4 || n > len(b) {
		return 0, nil, nil, false
	}
	return binary.NativeEndian.Uint16(b[2:]) & nlaTypeMask, b[4:n], b[min(align(n), len(b)):], true
}

func badLength(name string, b []byte) *DecodeError {
	if len(b) < 4 {
		return &DecodeError{Attr: name, Text: fmt.Sprintf("%d bytes left over", len(b))}
	}
	return &DecodeError{Attr: name, Text: fmt.Sprintf("attribute %d has length %d in %d bytes",
		binary.NativeEndian.Uint16(b[2:])&nlaTypeMask, binary.NativeEndian.Uint16(b), len(b))}
}
