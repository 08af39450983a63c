package hwif_test

import (
	"net/netip"
	"testing"

	"github.com/shunt-offload/shunt/hwif"
)

func TestAddr(t *testing.T) {
	for in, want := range map[string]struct {
		out string
		fam hwif.Family
	}{
		"10.0.0.1":        {"10.0.0.1", hwif.IPv4},
		"::ffff:10.0.0.1": {"10.0.0.1", hwif.IPv4},
		"2001:db8::1":     {"2001:db8::1", hwif.IPv6},
		"fe80::1%eth0":    {"fe80::1", hwif.IPv6},
		"::":              {"::", hwif.IPv6},
	} {
		a, fam := hwif.AddrFrom(netip.MustParseAddr(in))
		if fam != want.fam || a.Netip(fam).String() != want.out {
			t.Errorf("%s: %s %s, want %s %s", in, fam, a.Netip(fam), want.fam, want.out)
		}
	}
	a, fam := hwif.AddrFrom(netip.Addr{})
	if fam != hwif.FamilyNone || !a.IsZero() || a.Netip(fam).IsValid() {
		t.Errorf("no address: %s %v", fam, a)
	}
}

func TestMAC(t *testing.T) {
	for m, want := range map[hwif.MAC]bool{
		{2, 0, 0, 0, 0, 1}:                   true,
		{}:                                   false,
		{1, 0, 0x5e, 0, 0, 1}:                false,
		{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}: false,
	} {
		if m.IsUnicast() != want {
			t.Errorf("%s: unicast %v", m, m.IsUnicast())
		}
	}
}
