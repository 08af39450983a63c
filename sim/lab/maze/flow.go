package maze

import (
	"fmt"
	"net/netip"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// Flow is one connection of datagrams. Server is where the client sends to, Behind
// what DNAT makes of it, and As what SNAT makes of Client.
type Flow struct {
	Name                       string
	Client, Server, Behind, As netip.AddrPort
	// Back is the port by which the server's packets come in: mostly the one by
	// which the client's leave, for some always the same.
	Back  int
	Fixed bool // Back does not follow
}

// perFamily is how many flows there are of each family.
const perFamily = 8

// flows are sixteen: plain, with SNAT, with DNAT and with both, of each family.
func flows() []*Flow {
	var out []*Flow
	for i := range perFamily {
		n := byte(1 + i)
		for _, v := range []int{4, 6} {
			addr := func(four, six string) netip.Addr {
				if v == 4 {
					return netip.MustParseAddr(fmt.Sprintf(four, n))
				}
				return netip.MustParseAddr(fmt.Sprintf(six, n))
			}
			f := &Flow{Name: fmt.Sprintf("%d.%d", v, n), Fixed: i%4 == 3, Back: 1 + i%3,
				Client: netip.AddrPortFrom(addr("10.0.0.1%d", "fd00:0::1%d"), 4000+uint16(n)),
				Server: netip.AddrPortFrom(addr("198.51.100.%d", "2001:db8:1::%d"), 5000+uint16(n))}
			f.Behind, f.As = f.Server, f.Client
			if i&1 != 0 {
				f.As = netip.AddrPortFrom(addr("192.0.2.%d", "2001:db8:5::%d"), f.Client.Port())
			}
			if i&2 != 0 {
				f.Server = netip.AddrPortFrom(addr("203.0.113.%d", "2001:db8:7::%d"), f.Server.Port())
			}
			out = append(out, f)
		}
	}
	return out
}

// ruleset translates the flows that are to be translated.
func ruleset() []string {
	var nat [2]string
	var dnat [2]string
	for _, f := range flows() {
		k, fam := 0, "ip"
		if f.Client.Addr().Is6() {
			k, fam = 1, "ip6"
		}
		if f.As != f.Client {
			nat[k] += fmt.Sprintf(" %s saddr %s snat to %s\n", fam, f.Client.Addr(), f.As.Addr())
		}
		if f.Behind != f.Server {
			dnat[k] += fmt.Sprintf(" %s daddr %s dnat to %s\n", fam, f.Server.Addr(), f.Behind.Addr())
		}
	}
	text := "table inet maze {\n chain forward { type filter hook forward priority 0\n ct state invalid drop\n }\n chain marks { type filter hook prerouting priority -150\n }\n}\n"
	for k, fam := range []string{"ip", "ip6"} {
		text += fmt.Sprintf("table %s maze_nat {\n chain pre { type nat hook prerouting priority -100\n%s }\n chain post { type nat hook postrouting priority 100\n%s }\n}\n", fam, dnat[k], nat[k])
	}
	return []string{"nft -f - <<'EOF'\n" + text + "EOF\n"}
}

// form is one of a frame's two.
type form int

const (
	forNIC    form = iota // untagged
	forKernel             // with a priority tag, which no rule matches
)

// frame builds the packet of one direction. The payload names the probe, and its
// checksum does not tell the forms apart.
func frame(src, dst netip.AddrPort, from, to []byte, id uint32, f form) ([]byte, error) {
	eth := &layers.Ethernet{SrcMAC: from, DstMAC: to, EthernetType: layers.EthernetTypeIPv4}
	udp := &layers.UDP{SrcPort: layers.UDPPort(src.Port()), DstPort: layers.UDPPort(dst.Port())}
	var ip interface {
		gopacket.NetworkLayer
		gopacket.SerializableLayer
	}
	if src.Addr().Is4() {
		l := &layers.IPv4{Version: 4, TTL: 60, Id: 7, Flags: layers.IPv4DontFragment, Protocol: layers.IPProtocolUDP, SrcIP: src.Addr().AsSlice(), DstIP: dst.Addr().AsSlice()}
		ip = l
	} else {
		eth.EthernetType = layers.EthernetTypeIPv6
		l := &layers.IPv6{Version: 6, HopLimit: 60, NextHeader: layers.IPProtocolUDP, SrcIP: src.Addr().AsSlice(), DstIP: dst.Addr().AsSlice()}
		ip = l
	}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		return nil, err
	}
	body := make([]byte, 32)
	copy(body, magic)
	be.PutUint32(body[8:], id)
	a, b := uint16(0xaaaa), uint16(0x5555)
	stack := []gopacket.SerializableLayer{eth}
	if f == forKernel {
		a, b = b, a
		stack = append(stack, &layers.Dot1Q{VLANIdentifier: 0, Type: eth.EthernetType})
		eth.EthernetType = layers.EthernetTypeDot1Q
	}
	be.PutUint16(body[12:], a)
	be.PutUint16(body[14:], b)
	buf := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, append(stack, ip, udp, gopacket.Payload(body))...)
	return buf.Bytes(), err
}
