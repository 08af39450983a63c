package hwif

import "math/bits"

// Field is one thing that a rule can compare. The set is closed: a driver
// refuses a rule with a field that it has no row for.
type Field uint8

const (
	FieldInPort   Field = iota // the port that the frame entered by
	FieldEthDst                // destination MAC, exact
	FieldVLAN                  // exactly one 802.1Q tag with this id, or none when the id is 0
	FieldEthType               // ethertype of Match.Family
	FieldIPProto               // L4 protocol number
	FieldIPSrc                 // source address, exact
	FieldIPDst                 // destination address, exact
	FieldL4Src                 // TCP or UDP source port, exact
	FieldL4Dst                 // TCP or UDP destination port, exact
	FieldNotFrag               // not an IP fragment, neither first nor later
	FieldTCPFlags              // tcp flags & TCPFlagsMask == TCPFlags
	FieldTTL                   // TTL or hop limit & TTLMask == TTL
	numFields
)

var fieldNames = [numFields]string{
	"in_port", "dst_mac", "vlan_id", "eth_type", "ip_proto", "src_ip", "dst_ip",
	"src_port", "dst_port", "ip_flags nofrag", "tcp_flags", "ip_ttl",
}

// String is flower's own name for the key.
func (f Field) String() string {
	if f < numFields {
		return fieldNames[f]
	}
	return "unknown field"
}

// Fields lists every Field, in order.
func Fields() []Field {
	out := make([]Field, numFields)
	for i := range out {
		out[i] = Field(i)
	}
	return out
}

// FieldSet is a set of Field.
type FieldSet uint32

// FieldsOf builds a set.
func FieldsOf(fs ...Field) FieldSet {
	var s FieldSet
	for _, f := range fs {
		s |= 1 << f
	}
	return s
}

// Has reports whether f is in the set.
func (s FieldSet) Has(f Field) bool { return s&(1<<f) != 0 }

// Without is the set less f.
func (s FieldSet) Without(f Field) FieldSet { return s &^ (1 << f) }

// First is the lowest field of a non-empty set, known or not.
func (s FieldSet) First() (Field, bool) {
	if s == 0 {
		return 0, false
	}
	return Field(bits.TrailingZeros32(uint32(s))), true
}

// TCP flag bits as they stand in the header's 13th byte (RFC 9293).
const (
	TCPFin uint8 = 0x01
	TCPSyn uint8 = 0x02
	TCPRst uint8 = 0x04
	TCPAck uint8 = 0x10
)

// Match is what a frame must be. Members whose Field is not in Fields are zero.
type Match struct {
	Fields           FieldSet
	InPort           Ifindex
	EthDst           MAC
	VLAN             VLAN
	Family           Family
	Proto            uint8
	Src, Dst         Addr
	SrcPort, DstPort uint16
	TCPFlags         uint8
	TCPFlagsMask     uint8
	TTL, TTLMask     uint8
}

// RoutedFlow are the fields that every rule of a routed TCP or UDP flow has;
// TCP adds FieldTCPFlags.
const RoutedFlow = FieldSet(1<<FieldInPort | 1<<FieldEthDst | 1<<FieldVLAN | 1<<FieldEthType |
	1<<FieldIPProto | 1<<FieldIPSrc | 1<<FieldIPDst | 1<<FieldL4Src | 1<<FieldL4Dst | 1<<FieldNotFrag)
