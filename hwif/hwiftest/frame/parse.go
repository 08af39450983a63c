package frame

import (
	"fmt"
	"net/netip"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/shunt-offload/shunt/hwif"
)

// Parse is the way back from Build, for frames without IPv4 options and IPv6
// extension headers: Build of what it gives is the frame again, unless a checksum
// in it was wrong or its padding was not Build's.
func Parse(raw []byte) (Spec, error) {
	p := gopacket.NewPacket(raw, layers.LayerTypeEthernet, gopacket.Default)
	if e := p.ErrorLayer(); e != nil {
		return Spec{}, fmt.Errorf("parse frame: %w", e.Error())
	}
	var s Spec
	for _, l := range p.Layers() {
		switch l := l.(type) {
		case *layers.Ethernet:
			s.EthDst, s.EthSrc = hwif.MAC(l.DstMAC), hwif.MAC(l.SrcMAC)
			if l.EthernetType == layers.EthernetTypeQinQ {
				s.Tags = append(s.Tags, Tag{TPID: TPID8021AD})
			} else if l.EthernetType == layers.EthernetTypeDot1Q {
				s.Tags = append(s.Tags, Tag{})
			}
		case *layers.Dot1Q:
			t := &s.Tags[len(s.Tags)-1]
			t.PCP, t.VID = l.Priority, hwif.VLAN(l.VLANIdentifier)
			if l.Type == layers.EthernetTypeDot1Q {
				s.Tags = append(s.Tags, Tag{})
			}
		case *layers.IPv4:
			if len(l.Options) > 0 {
				return Spec{}, fmt.Errorf("parse frame: IPv4 options")
			}
			s.Src, s.Dst = addr(l.SrcIP), addr(l.DstIP)
			s.TOS, s.TTL, s.ID, s.FragOff, s.Proto = l.TOS, l.TTL, l.Id, l.FragOffset, uint8(l.Protocol)
			s.DF, s.MF = l.Flags&layers.IPv4DontFragment != 0, l.Flags&layers.IPv4MoreFragments != 0
			s.Payload = l.Payload
		case *layers.IPv6:
			s.Src, s.Dst = addr(l.SrcIP), addr(l.DstIP)
			s.TOS, s.TTL, s.FlowLabel, s.Proto = l.TrafficClass, l.HopLimit, l.FlowLabel, uint8(l.NextHeader)
			s.Payload = l.Payload
		case *layers.TCP:
			s.SrcPort, s.DstPort, s.Seq, s.AckNo, s.Window = uint16(l.SrcPort), uint16(l.DstPort), l.Seq, l.Ack, l.Window
			s.Flags, s.Payload = l.Contents[13], l.Payload
		case *layers.UDP:
			s.SrcPort, s.DstPort, s.Payload = uint16(l.SrcPort), uint16(l.DstPort), l.Payload
			s.NoChecksum = l.Checksum == 0
		case gopacket.Payload, *gopacket.Payload:
		default:
			return Spec{}, fmt.Errorf("parse frame: %s", l.LayerType())
		}
	}
	if s.Family() == hwif.FamilyNone {
		return Spec{}, fmt.Errorf("parse frame: no IP packet")
	}
	s.Pad = len(raw) - s.L2Len() - s.L3Len()
	return s, nil
}

func addr(b []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(b)
	return a
}
