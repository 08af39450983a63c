package blast

import (
	"net"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

var example = Frame{
	SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2},
	Src: netip.MustParseAddrPort("10.77.0.2:20001"), Dst: netip.MustParseAddrPort("198.51.100.10:5001"),
}

func TestTheFrameIsWhatItSays(t *testing.T) {
	b, err := example.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	p := gopacket.NewPacket(b[:], layers.LayerTypeEthernet, gopacket.Default)
	if e := p.ErrorLayer(); e != nil {
		t.Fatal(e.Error())
	}
	ip := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
	udp := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
	if checksum(b[14:34]) != 0 {
		t.Error("the IPv4 header checksum is wrong")
	}
	if ip.SrcIP.String() != "10.77.0.2" || ip.DstIP.String() != "198.51.100.10" || ip.TTL != 64 || int(ip.Length) != Size-14 {
		t.Errorf("IPv4 header: %+v", ip)
	}
	if udp.SrcPort != 20001 || udp.DstPort != 5001 || int(udp.Length) != Size-34 || udp.Checksum != 0 {
		t.Errorf("UDP header: %+v", udp)
	}
}

func TestAFrameOfNothingIsRefused(t *testing.T) {
	six := example
	six.Dst = netip.MustParseAddrPort("[2001:db8::1]:1")
	for _, f := range []Frame{{}, six} {
		if _, err := f.Bytes(); err == nil {
			t.Errorf("%+v was built", f)
		}
	}
}
