package hwif

import (
	"encoding/binary"
	"encoding/hex"
)

// Cookie is the identity that we give to a rule; hardware keeps it beside the
// rule and gives it back in listings (TCA_ACT_COOKIE, 16 bytes at most).
//
//	bytes 0..3   "shnt"
//	byte  4      format, 1
//	byte  5      direction, 0 orig or 1 reply
//	bytes 6..7   reserved, zero
//	bytes 8..15  generation, big endian: never given twice by one daemon,
//	             and a start begins above every generation that it finds
type Cookie [16]byte

const cookieMagic = "shnt\x01"

// NewCookie makes the cookie of one direction (0 or 1) in generation gen.
func NewCookie(gen uint64, dir uint8) Cookie {
	var c Cookie
	copy(c[:], cookieMagic)
	c[5] = dir & 1
	binary.BigEndian.PutUint64(c[8:], gen)
	return c
}

// Ours reports whether the cookie was made by NewCookie, by this daemon or an
// earlier one.
func (c Cookie) Ours() bool {
	return string(c[:5]) == cookieMagic && c[5] <= 1 && c[6] == 0 && c[7] == 0
}

// Gen is the generation; meaningful when Ours.
func (c Cookie) Gen() uint64 { return binary.BigEndian.Uint64(c[8:]) }

// Dir is the direction, 0 or 1; meaningful when Ours.
func (c Cookie) Dir() uint8 { return c[5] & 1 }

func (c Cookie) String() string { return hex.EncodeToString(c[:]) }

// Rule is one direction of a flow, or a guard, in neutral form. It is a plain
// comparable value: equal rules do equal things to equal frames.
type Rule struct {
	Cookie  Cookie
	Match   Match
	Actions Actions
}

// Presence is where the kernel says a rule is, in tc's own words.
type Presence uint8

const (
	PresenceUnknown Presence = iota // not said
	InHW                            // in_hw
	NotInHW                         // not_in_hw
)

func (p Presence) String() string {
	switch p {
	case InHW:
		return "in_hw"
	case NotInHW:
		return "not_in_hw"
	}
	return "unknown"
}

// Counter is what one rule has forwarded since it was installed.
type Counter struct {
	Packets uint64
	Bytes   uint64 // L3 bytes: without Ethernet header, VLAN tag and padding
}

// Counted pairs a counter with its rule.
type Counted struct {
	Cookie Cookie
	Counter
}

// Installed is a rule as the device reports it.
type Installed struct {
	Rule     Rule
	Presence Presence
	Counter  Counter
}
