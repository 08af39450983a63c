package frame

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// Diff says where got differs from want, byte by byte and then layer by layer;
// empty when they are equal.
func Diff(got, want []byte) string {
	if bytes.Equal(got, want) {
		return ""
	}
	var b strings.Builder
	if len(got) != len(want) {
		fmt.Fprintf(&b, "length %d, want %d\n", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			fmt.Fprintf(&b, "byte %d: %02x, want %02x\n", i, got[i], want[i])
		}
	}
	fmt.Fprintf(&b, "got  %x\n     %s\nwant %x\n     %s", got, Text(got), want, Text(want))
	return b.String()
}

// Text names the layers of a frame on one line, as far as it can be parsed.
func Text(frame []byte) string {
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.NoCopy)
	var parts []string
	for _, l := range p.Layers() {
		switch l := l.(type) {
		case *layers.Ethernet:
			parts = append(parts, fmt.Sprintf("%s > %s", l.SrcMAC, l.DstMAC))
		case *layers.Dot1Q:
			parts = append(parts, fmt.Sprintf("vlan %d prio %d", l.VLANIdentifier, l.Priority))
		case *layers.IPv4:
			parts = append(parts, fmt.Sprintf("%s > %s ttl %d tos 0x%02x len %d csum %04x",
				l.SrcIP, l.DstIP, l.TTL, l.TOS, l.Length, l.Checksum))
		case *layers.IPv6:
			parts = append(parts, fmt.Sprintf("%s > %s hlim %d tclass 0x%02x len %d",
				l.SrcIP, l.DstIP, l.HopLimit, l.TrafficClass, l.Length))
		case *layers.TCP:
			parts = append(parts, fmt.Sprintf("tcp %d > %d csum %04x", uint16(l.SrcPort), uint16(l.DstPort), l.Checksum))
		case *layers.UDP:
			parts = append(parts, fmt.Sprintf("udp %d > %d csum %04x", uint16(l.SrcPort), uint16(l.DstPort), l.Checksum))
		case gopacket.ErrorLayer:
			parts = append(parts, "broken: "+l.Error().Error())
		default:
			parts = append(parts, fmt.Sprintf("%s %d bytes", l.LayerType(), len(l.LayerContents())))
		}
	}
	return strings.Join(parts, " | ")
}
