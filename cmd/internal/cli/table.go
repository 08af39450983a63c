package cli

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// table collects rows and prints them aligned. On a screen that is too narrow,
// columns are left out, the least needed first, and a line says which.
type table struct {
	screen screen
	heads  []string
	spare  []string // heads that may be left out, the first one first
	rows   [][]string
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

// print writes the rows and forgets them; heads only with the first ones.
func (t *table) print(w io.Writer, heads bool) error {
	left := []string{}
	hidden := map[string]bool{}
	text := t.format(heads, hidden)
	for _, h := range t.spare {
		if t.screen.width == 0 || widest(text) <= t.screen.width {
			break
		}
		hidden[h] = true
		left = append(left, h)
		text = t.format(heads, hidden)
	}
	t.rows = t.rows[:0]
	if _, err := w.Write(text); err != nil {
		return err
	}
	if len(left) > 0 {
		slices.Sort(left)
		_, err := fmt.Fprintf(w, "(%s left out: the screen is %d columns wide; -o json has everything)\n", strings.ToLower(strings.Join(left, ", ")), t.screen.width)
		return err
	}
	return nil
}

func (t *table) format(heads bool, hidden map[string]bool) []byte {
	var b bytes.Buffer
	tw := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	if heads {
		t.line(tw, t.heads, hidden)
	}
	for _, r := range t.rows {
		t.line(tw, r, hidden)
	}
	tw.Flush() // to memory: cannot fail
	return trimEnds(b.Bytes())
}

func (t *table) line(w io.Writer, cells []string, hidden map[string]bool) {
	var shown []string
	for i, c := range cells {
		if !hidden[t.plainHead(i)] {
			// A tab or line break in a text of the kernel's must not move columns.
			shown = append(shown, strings.Map(oneLine, c))
		}
	}
	fmt.Fprintln(w, strings.Join(shown, "\t"))
}

func oneLine(r rune) rune {
	if r == '\t' || r == '\n' || r == '\r' || r == '\v' || r == '\f' {
		return ' '
	}
	return r
}

func (t *table) plainHead(i int) string { return strings.TrimSpace(bare(t.heads[i])) }

// trimEnds takes blanks off the ends of lines.
func trimEnds(b []byte) []byte {
	lines := bytes.SplitAfter(b, []byte("\n"))
	for i, l := range lines {
		if t := bytes.TrimRight(l, " \n"); len(t) != len(l) {
			lines[i] = append(slices.Clone(t), '\n')
		}
	}
	return bytes.Join(lines, nil)
}

func widest(text []byte) int {
	w := 0
	for l := range bytes.Lines(text) {
		w = max(w, utf8.RuneCountInString(bare(strings.TrimRight(string(l), "\n"))))
	}
	return w
}

// bare takes colours off.
func bare(s string) string {
	for {
		i := strings.Index(s, "\x1b[")
		if i < 0 {
			return s
		}
		j := strings.IndexByte(s[i:], 'm')
		if j < 0 {
			return s
		}
		s = s[:i] + s[i+j+1:]
	}
}
