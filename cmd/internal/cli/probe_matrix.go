package cli

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/cmd/internal/card"
	"github.com/shunt-offload/shunt/drivers/flower"
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/tc"
)

// matrix is what a card took and refused: rows are features, columns pairs of
// ports.
type matrix struct {
	rows     []string
	columns  []column
	cells    map[place]cell
	refusals []refusal // numbered from 1, in the order in which they are met
}

// column is a pair of ports, or of kinds of ports.
type column struct{ in, out string }

// Where a frame goes that leaves by the port that it came from, and before the
// kind of a port of the card's other function.
const (
	itself = "itself"
	other  = "other "
)

type place struct {
	feature string
	column
}

// cell sums up the findings of one feature between one pair of kinds.
type cell struct {
	ok, no  int
	refusal int // number of the first refusal
	claimed int // findings that the driver claims
	differs int // findings that are otherwise than the driver claims
}

// refusal is one way to say no.
type refusal struct {
	errno unix.Errno // 0 when it was not the kernel that said no
	text  string     // the kernel's and the card driver's own words; often none
}

// refusalOf finds errno and words of an error.
func refusalOf(err error) refusal {
	var te *tc.Error
	var he *hwif.Error
	var errno unix.Errno
	switch {
	case errors.As(err, &te):
		return refusal{te.Errno, te.Text}
	case errors.As(err, &he):
		errors.As(he.Err, &errno)
		text := he.Text
		if he.Field != "" {
			text = he.Field + ": " + text
		}
		return refusal{errno, text}
	case errors.As(err, &errno):
		return refusal{errno: errno}
	}
	return refusal{text: err.Error()}
}

// kindsOf names the columns by kinds of ports; those of a card's other function are
// marked, since a card may join them otherwise.
func kindsOf(ports []card.Port) func(f *flower.Finding) []column {
	byName := map[string]*card.Port{}
	for i := range ports {
		byName[ports[i].Name] = &ports[i]
	}
	kind := func(p *card.Port) string { return p.Port.Kind.String() }
	pair := func(in, out *card.Port) column {
		switch {
		case in == out:
			return column{kind(in), itself}
		case in.Port.Device != out.Port.Device:
			return column{kind(in), other + kind(out)}
		}
		return column{kind(in), kind(out)}
	}
	return func(f *flower.Finding) (cols []column) {
		in := byName[f.In]
		if f.Out != "" {
			return []column{pair(in, byName[f.Out])}
		}
		for i := range ports { // it forwards nothing: true of every pair that begins there
			c := pair(in, &ports[i])
			if !slices.Contains(cols, c) && c.out != itself {
				cols = append(cols, c)
			}
		}
		return cols
	}
}

// namesOf names the columns by ports.
func namesOf(ports []card.Port) func(f *flower.Finding) []column {
	return func(f *flower.Finding) (cols []column) {
		switch f.Out {
		case "":
		case f.In:
			return []column{{f.In, itself}}
		default:
			return []column{{f.In, f.Out}}
		}
		for i := range ports {
			if ports[i].Name != f.In {
				cols = append(cols, column{f.In, ports[i].Name})
			}
		}
		return cols
	}
}

// newMatrix sorts findings into cells.
func newMatrix(found []flower.Finding, columns func(*flower.Finding) []column) *matrix {
	m := &matrix{cells: map[place]cell{}}
	for i := range found {
		f := &found[i]
		if !slices.Contains(m.rows, f.Feature) {
			m.rows = append(m.rows, f.Feature)
		}
		n := 0
		if f.Err != nil {
			n = m.number(refusalOf(f.Err))
		}
		for _, col := range columns(f) {
			if !slices.Contains(m.columns, col) {
				m.columns = append(m.columns, col)
			}
			c := m.cells[place{f.Feature, col}]
			if f.Err == nil {
				c.ok++
			} else {
				c.no++
				if c.refusal == 0 {
					c.refusal = n
				}
			}
			if f.Claimed {
				c.claimed++
			}
			if f.Claimed != (f.Err == nil) {
				c.differs++
			}
			m.cells[place{f.Feature, col}] = c
		}
	}
	return m
}

func (m *matrix) number(r refusal) int {
	at := slices.Index(m.refusals, r)
	if at < 0 {
		m.refusals = append(m.refusals, r)
		at = len(m.refusals) - 1
	}
	return at + 1
}

// split tells pairs of ports from ports that are asked whether frames can turn back.
func (m *matrix) split() (pairs, turns []column) {
	for _, c := range m.columns {
		if c.out == itself {
			turns = append(turns, c)
		} else {
			pairs = append(pairs, c)
		}
	}
	return pairs, turns
}

// differing are the features and columns where card and driver do not agree.
func (m *matrix) differing() (out []place) {
	for _, row := range m.rows {
		for _, col := range m.columns {
			if m.cells[place{row, col}].differs > 0 {
				out = append(out, place{row, col})
			}
		}
	}
	return out
}
