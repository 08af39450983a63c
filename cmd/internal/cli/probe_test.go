package cli

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/cmd/internal/card"
	"github.com/shunt-offload/shunt/drivers/flower"
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev"
	"github.com/shunt-offload/shunt/tc"
)

var update = flag.Bool("update", false, "rewrite what is compared; read the difference before you commit it")

// bench is two functions of one ConnectX: an uplink and two VFs, and an uplink.
func bench(t *testing.T) *card.Group {
	t.Helper()
	f, ok := card.Flower("mlx5")
	if !ok {
		t.Fatal("no driver mlx5")
	}
	g := &card.Group{Driver: f, Unfit: []string{"vf9: hw-tc-offload is off; run: ethtool -K vf9 hw-tc-offload on"}}
	for n := range 2 {
		h := switchdev.Handle{Bus: "pci", Name: "0000:03:00." + string(rune('0'+n))}
		d := &switchdev.Device{Handle: h, Driver: "mlx5_core", Mode: switchdev.ModeSwitchdev, Firmware: "22.35.1012"}
		g.Devices = append(g.Devices, d)
		for _, p := range []switchdev.Port{{Name: "p0", Kind: hwif.PortUplink}, {Name: "vf0", Kind: hwif.PortVF}, {Name: "vf1", Kind: hwif.PortVF}} {
			if n == 1 {
				p.Name = "p1"
			}
			p.Device = h
			g.Ports = append(g.Ports, card.Port{Name: p.Name, Port: &p, Dev: d})
			if n == 1 {
				break
			}
		}
	}
	return g
}

// asked is what such a card might answer.
func asked(g *card.Group) (out []flower.Finding) {
	no := func(errno unix.Errno, text string) error { return &tc.Error{Errno: errno, Text: text} }
	uplinks := no(unix.EOPNOTSUPP, "devices are not the same uplink, can't offload forwarding")
	for _, feature := range []string{"drop", "redirect", "snat and dnat ipv6", "vlan pop and push"} {
		for i := range g.Ports {
			for k := range g.Ports {
				in, to := g.Ports[i].Name, g.Ports[k].Name
				f := flower.Finding{Feature: feature, In: in, Out: to, Claimed: true}
				switch {
				case feature == "drop":
					f.Out = ""
					if i != k {
						continue
					}
				case i == k && feature != "vlan pop and push":
					continue
				case i == k && in[0] == 'v':
					f.Err, f.Claimed = no(unix.EOPNOTSUPP, "can't forward from a VF to itself"), false
				case i != k && in[0] == 'p' && to[0] == 'p':
					f.Err, f.Claimed = uplinks, false
				case feature == "snat and dnat ipv6" && in == "vf1":
					f.Err = no(unix.EOPNOTSUPP, "")
				case feature == "snat and dnat ipv6" && in == "p1":
					f.Claimed = false
				}
				out = append(out, f)
			}
		}
	}
	f := flower.Finding{Feature: "odd", In: "p0", Out: "vf0", Claimed: true,
		Err: &hwif.Error{Op: "install", Kind: hwif.KindUnsupported, Field: "ip_ttl", Text: "no row of the match table"}}
	return append(out, f)
}

func shown(t *testing.T, how output, s screen) string {
	t.Helper()
	var b bytes.Buffer
	a := &app{out: &b, output: how, screen: s}
	g := bench(t)
	if err := a.printProbe(g, asked(g)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestProbeTable holds what people see to a file: rows, columns, refusals with the
// kernel's words, and where card and driver do not agree.
func TestProbeTable(t *testing.T) {
	got := shown(t, asTable, screen{})
	if *update {
		if err := os.WriteFile("testdata/probe.golden", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/probe.golden")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	// The matrix itself fits; a note is a sentence, and goes on.
	inTable := false
	for line := range strings.Lines(got) {
		inTable = strings.HasPrefix(line, "FROM") || inTable && line != "\n"
		if n := utf8.RuneCountInString(line) - 1; inTable && n > 100 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	// Colours take no room.
	if plain := bare(shown(t, asTable, screen{colour: true})); plain != got {
		t.Errorf("with colours:\n%s", cmp.Diff(got, plain))
	}
}

// TestProbeWide has a column for each pair of ports.
func TestProbeWide(t *testing.T) {
	got := shown(t, asWide, screen{})
	for _, want := range []string{"\nFROM", " vf1  ", "turns     vlan pop and push, from vf1 back by it: no 3\n", "claims !  snat and dnat ipv6, vf1 to vf0: the driver claims it, and the card refuses\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if n := strings.Count(got, "\nFROM"); n != 1 {
		t.Errorf("%d tables", n)
	}
}

// TestProbeJSON has a line for each question, with the kernel's own words.
func TestProbeJSON(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(shown(t, asJSON, screen{})), "\n")
	g := bench(t)
	if len(lines) != len(asked(g)) {
		t.Fatalf("%d lines for %d questions", len(lines), len(asked(g)))
	}
	seen := map[string]bool{}
	for _, l := range lines {
		var p probeJSON
		if err := json.Unmarshal([]byte(l), &p); err != nil {
			t.Fatal(err)
		}
		if p.OK != (p.Errno == "" && p.Text == "") || p.Driver != "mlx5" || p.InKind == "" || (p.Out == "") != (p.Feature == "drop") {
			t.Errorf("%s", l)
		}
		seen[p.Errno+" "+p.Text] = true
	}
	if !seen["EOPNOTSUPP devices are not the same uplink, can't offload forwarding"] || !seen[" ip_ttl: no row of the match table"] {
		t.Errorf("%v", seen)
	}
}
