package frame

import (
	"fmt"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/shunt-offload/shunt/hwif"
)

// Build makes the frame. Lengths and checksums are computed from scratch; a UDP
// checksum that comes out as zero is sent as 0xffff (RFC 768). The error names
// what cannot be a frame.
func (s *Spec) Build() ([]byte, error) {
	ls, err := s.layers()
	if err != nil {
		return nil, fmt.Errorf("build frame: %w", err)
	}
	buf := gopacket.NewSerializeBuffer()
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, opts, ls...); err != nil {
		return nil, fmt.Errorf("build frame: %w", err)
	}
	// gopacket pads to 60 bytes; a frame in memory has no padding unless asked.
	out := append([]byte(nil), buf.Bytes()[:s.L2Len()+s.L3Len()]...)
	if s.NoChecksum && s.Proto == hwif.ProtoUDP {
		at := len(out) - len(s.Payload) - 2
		out[at], out[at+1] = 0, 0
	}
	for range s.Pad {
		out = append(out, 0xa5)
	}
	return out, nil
}

// MustBuild is Build for a Spec that is known to be a frame; it panics with
// Build's error.
func (s Spec) MustBuild() []byte {
	out, err := s.Build()
	if err != nil {
		panic(err)
	}
	return out
}

func (s *Spec) layers() ([]gopacket.SerializableLayer, error) {
	fam := s.Family()
	if _, df := hwif.AddrFrom(s.Dst); fam == hwif.FamilyNone || df != fam {
		return nil, fmt.Errorf("source %s and destination %s are not of one family", s.Src, s.Dst)
	}
	var ls []gopacket.SerializableLayer
	eth := &layers.Ethernet{DstMAC: s.EthDst[:], SrcMAC: s.EthSrc[:]}
	ls = append(ls, eth)
	next := &eth.EthernetType
	for _, t := range s.Tags {
		tpid := t.TPID
		if tpid == 0 {
			tpid = TPID8021Q
		}
		*next = layers.EthernetType(tpid)
		q := &layers.Dot1Q{Priority: t.PCP, VLANIdentifier: uint16(t.VID)}
		next = &q.Type
		ls = append(ls, q)
	}
	*next = layers.EthernetType(fam.EtherType())

	var net gopacket.NetworkLayer
	if fam == hwif.IPv4 {
		ip, err := s.ipv4()
		if err != nil {
			return nil, err
		}
		net, ls = ip, append(ls, ip)
	} else {
		ip, ext, err := s.ipv6()
		if err != nil {
			return nil, err
		}
		net, ls = ip, append(append(ls, ip), ext...)
	}
	return append(ls, s.l4(net)...), nil
}

func (s *Spec) ipv4() (*layers.IPv4, error) {
	if len(s.Options)%4 != 0 || len(s.Options) > 40 {
		return nil, fmt.Errorf("%d bytes of IPv4 options; at most 40, in fours", len(s.Options))
	}
	if len(s.Ext) != 0 {
		return nil, fmt.Errorf("extension headers on an IPv4 frame")
	}
	ip := &layers.IPv4{Version: 4, TOS: s.TOS, TTL: s.TTL, Id: s.ID, FragOffset: s.FragOff,
		Protocol: layers.IPProtocol(s.Proto), SrcIP: s.Src.Unmap().AsSlice(), DstIP: s.Dst.Unmap().AsSlice()}
	if s.DF {
		ip.Flags |= layers.IPv4DontFragment
	}
	if s.MF {
		ip.Flags |= layers.IPv4MoreFragments
	}
	for i := 0; i < len(s.Options); {
		// Option types 0 and 1 are single bytes; others carry their length.
		o := layers.IPv4Option{OptionType: s.Options[i], OptionLength: 1}
		if o.OptionType > 1 {
			if i+1 >= len(s.Options) || s.Options[i+1] < 2 || i+int(s.Options[i+1]) > len(s.Options) {
				return nil, fmt.Errorf("IPv4 option %d does not fit", o.OptionType)
			}
			o.OptionLength = s.Options[i+1]
			o.OptionData = s.Options[i+2 : i+int(o.OptionLength)]
		}
		i += int(o.OptionLength)
		ip.Options = append(ip.Options, o)
	}
	return ip, nil
}

func (s *Spec) ipv6() (*layers.IPv6, []gopacket.SerializableLayer, error) {
	if len(s.Options) != 0 {
		return nil, nil, fmt.Errorf("IPv4 options on an IPv6 frame")
	}
	if len(s.Ext) != len(s.ExtProto) {
		return nil, nil, fmt.Errorf("%d extension headers with %d numbers", len(s.Ext), len(s.ExtProto))
	}
	ip := &layers.IPv6{Version: 6, TrafficClass: s.TOS, FlowLabel: s.FlowLabel, HopLimit: s.TTL,
		NextHeader: layers.IPProtocol(s.Proto), SrcIP: s.Src.AsSlice(), DstIP: s.Dst.AsSlice()}
	var ext []gopacket.SerializableLayer
	for i, e := range s.Ext {
		raw := append([]byte(nil), e...)
		raw[0] = s.Proto
		if i+1 < len(s.ExtProto) {
			raw[0] = s.ExtProto[i+1]
		}
		ext = append(ext, gopacket.Payload(raw))
	}
	if len(s.ExtProto) > 0 {
		ip.NextHeader = layers.IPProtocol(s.ExtProto[0])
	}
	return ip, ext, nil
}

func (s *Spec) l4(net gopacket.NetworkLayer) []gopacket.SerializableLayer {
	data := gopacket.Payload(s.Payload)
	switch s.Proto {
	case hwif.ProtoTCP:
		has := func(bit uint8) bool { return s.Flags&bit != 0 }
		t := &layers.TCP{SrcPort: layers.TCPPort(s.SrcPort), DstPort: layers.TCPPort(s.DstPort),
			Seq: s.Seq, Ack: s.AckNo, Window: s.Window,
			FIN: has(hwif.TCPFin), SYN: has(hwif.TCPSyn), RST: has(hwif.TCPRst), PSH: has(PSH),
			ACK: has(ACK), URG: has(URG), ECE: has(ECE), CWR: has(CWR)}
		_ = t.SetNetworkLayerForChecksum(net) // fails for other than *IPv4 and *IPv6
		return []gopacket.SerializableLayer{t, data}
	case hwif.ProtoUDP:
		u := &layers.UDP{SrcPort: layers.UDPPort(s.SrcPort), DstPort: layers.UDPPort(s.DstPort)}
		_ = u.SetNetworkLayerForChecksum(net) // as above
		return []gopacket.SerializableLayer{u, data}
	}
	return []gopacket.SerializableLayer{data}
}
