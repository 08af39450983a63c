package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/cmd/internal/card"
	"github.com/shunt-offload/shunt/drivers/flower"
	"github.com/shunt-offload/shunt/hwif"
)

// printProbe writes what was found of one group of ports.
func (a *app) printProbe(g *card.Group, found []flower.Finding) error {
	if a.output == asJSON {
		return a.printProbeJSON(g, found)
	}
	caps := g.Driver.Profile.Caps(g.Devices[0].Mode)
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(a.out, "%-9s %s\n", name, text)
		}
	}
	for _, d := range g.Devices {
		text := fmt.Sprintf("%s, kernel driver %s, mode %s", d.Handle, or(d.Driver, "unknown"), d.Mode)
		if d.Board != "" {
			text += ", board " + d.Board
		}
		if d.Firmware != "" {
			text += ", firmware " + d.Firmware
		}
		line("card", text)
	}
	line("driver", g.Driver.Name())
	var ports []string
	for i := range g.Ports {
		ports = append(ports, fmt.Sprintf("%s (%s)", g.Ports[i].Name, g.Ports[i].Port.Kind))
	}
	line("ports", strings.Join(ports, ", "))
	for _, text := range g.Unfit {
		line("left out", text)
	}
	columns := kindsOf(g.Ports)
	if a.output == asWide {
		columns = namesOf(g.Ports)
	}
	m := newMatrix(found, columns)
	pairs, turns := m.split()
	for part := range slices.Chunk(pairs, a.perTable(len(pairs))) {
		fmt.Fprintln(a.out)
		if err := a.printMatrix(m, part); err != nil {
			return err
		}
	}
	fmt.Fprintln(a.out)
	if slices.ContainsFunc(pairs, func(c column) bool { return strings.HasPrefix(c.out, other) }) {
		line("other", "a port of the card's other function, "+g.Devices[len(g.Devices)-1].Handle.String()+" seen from "+g.Devices[0].Handle.String())
	}
	for _, c := range turns {
		for _, row := range m.rows {
			if t := m.cells[place{row, c}]; t.ok+t.no > 0 {
				line("turns", fmt.Sprintf("%s, from %s back by it: %s", row, c.in, a.cellText(t)))
			}
		}
	}
	for i, r := range m.refusals {
		line(fmt.Sprintf("no %d", i+1), r.String())
	}
	a.printClaims(line, m, &caps)
	return nil
}

// perTable is how many columns stand side by side: as many as 100 columns of a
// screen have room for, and all of them where width was asked for.
func (a *app) perTable(n int) int {
	const room = 6
	if a.output == asWide {
		return max(n, 1)
	}
	return room
}

func (a *app) printMatrix(m *matrix, columns []column) error {
	t := &table{screen: a.screen, heads: []string{"FROM"}}
	to := []string{"TO"}
	for _, c := range columns {
		t.heads = append(t.heads, a.screen.paint(plain, c.in))
		to = append(to, a.screen.paint(plain, c.out))
	}
	t.row(to...)
	for _, row := range m.rows {
		cells := []string{row}
		for _, col := range columns {
			cells = append(cells, a.cellText(m.cells[place{row, col}]))
		}
		t.row(cells...)
	}
	return t.print(a.out, true)
}

// cellText is "ok", "no" with the number of the refusal, or how many pairs took it
// where they do not agree; a "!" says that the driver claims otherwise.
func (a *app) cellText(c cell) string {
	text, colour := none, plain
	switch {
	case c.ok+c.no == 0:
	case c.no == 0:
		text, colour = "ok", green
	case c.ok == 0:
		text, colour = fmt.Sprintf("no %d", c.refusal), red
	default:
		text, colour = fmt.Sprintf("%d of %d, no %d", c.ok, c.ok+c.no, c.refusal), yellow
	}
	if c.differs > 0 {
		text += " !"
	}
	return a.screen.paint(colour, text)
}

func (r refusal) String() string {
	text := "without a word from the kernel"
	if r.text != "" {
		text = fmt.Sprintf("%q", r.text)
	}
	if r.errno == 0 {
		return r.text
	}
	return fmt.Sprintf("%s (%s), %s", errnoName(r.errno), r.errno.Error(), text)
}

// errnoName is the kernel's own word, which has two for one number in libc.
func errnoName(e unix.Errno) string {
	if e == unix.EOPNOTSUPP {
		return "EOPNOTSUPP"
	}
	return unix.ErrnoName(e)
}

// printClaims writes what no rule can measure, and where card and driver differ.
func (a *app) printClaims(line func(name, text string), m *matrix, caps *hwif.Caps) {
	counters := caps.Counters.String()
	if caps.Counters != hwif.CountersNone && caps.CounterLag > 0 {
		counters += ", up to " + span(caps.CounterLag) + " old"
	}
	line("counters", counters+" (the driver's word: only traffic could tell)")
	if caps.ExactTTL {
		line("ttl", "a rule matches one TTL exactly, so ip_ttl stands in every routed rule above")
	}
	if caps.Loose != 0 {
		var loose []string
		for _, f := range hwif.Fields() {
			if caps.Loose.Has(f) {
				loose = append(loose, f.String())
			}
		}
		line("loose", strings.Join(loose, ", ")+": taken, but not compared in every frame")
	}
	for _, n := range caps.Notes {
		line("note", n)
	}
	differ := m.differing()
	if len(differ) == 0 {
		line("claims", "the card takes and refuses what its driver says")
		return
	}
	for _, d := range differ {
		c := m.cells[d]
		text := "the driver claims it, and the card refuses"
		if c.claimed == 0 {
			text = "the driver does not claim it, and the card takes it; shunt does not use it"
		}
		line("claims !", fmt.Sprintf("%s, %s to %s: %s", d.feature, d.in, d.out, text))
	}
}

// probeJSON is one line for scripts.
type probeJSON struct {
	Card    string `json:"card"`
	Driver  string `json:"driver"`
	Feature string `json:"feature"`
	In      string `json:"in"`
	InKind  string `json:"in_kind"`
	Out     string `json:"out,omitempty"`
	OutKind string `json:"out_kind,omitempty"`
	OK      bool   `json:"ok"`
	Claimed bool   `json:"claimed"`
	Errno   string `json:"errno,omitempty"`
	Text    string `json:"text,omitempty"`
}

func (a *app) printProbeJSON(g *card.Group, found []flower.Finding) error {
	byName := map[string]*card.Port{}
	for i := range g.Ports {
		byName[g.Ports[i].Name] = &g.Ports[i]
	}
	enc := json.NewEncoder(a.out)
	for i := range found {
		f := &found[i]
		in := byName[f.In]
		out := probeJSON{Card: in.Port.Device.String(), Driver: g.Driver.Name(), Feature: f.Feature, In: f.In, InKind: in.Port.Kind.String(),
			Out: f.Out, OK: f.Err == nil, Claimed: f.Claimed}
		if to := byName[f.Out]; to != nil {
			out.OutKind = to.Port.Kind.String()
		}
		if f.Err != nil {
			r := refusalOf(f.Err)
			out.Text = r.text
			if r.errno != 0 {
				out.Errno = errnoName(r.errno)
			}
		}
		if err := enc.Encode(out); err != nil {
			return err
		}
	}
	return nil
}
