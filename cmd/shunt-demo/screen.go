package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// screen prints the story's lines, and below them a table that is drawn again
// and again on a terminal. Elsewhere the table is printed only when asked for.
type screen struct {
	mu    sync.Mutex
	w     io.Writer
	tty   bool
	width func() int // columns of the terminal, 0 if unknown
	table string     // as last drawn
	step  int
}

func newScreen(f *os.File) *screen {
	info, err := f.Stat()
	return &screen{
		w: f, tty: err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb",
		width: func() int {
			ws, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
			if err != nil {
				return 0
			}
			return int(ws.Col)
		},
	}
}

// Step begins a numbered step.
func (s *screen) Step(format string, args ...any) {
	s.step++
	s.Say("\n"+fmt.Sprintf("%d. ", s.step)+format, args...)
}

// Say prints a line above the table.
func (s *screen) Say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	fmt.Fprintf(s.w, format+"\n", args...)
	if s.tty {
		fmt.Fprint(s.w, s.table)
	}
}

// Draw replaces the table on a terminal.
func (s *screen) Draw(table string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	s.table = table
	if s.tty {
		// A line that wraps would be two, and erase counts one.
		s.table = clip(table, s.width())
		fmt.Fprint(s.w, s.table)
	}
}

// Snapshot prints the table for good, and takes it off the terminal's foot.
func (s *screen) Snapshot() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	if s.table != "" {
		fmt.Fprint(s.w, "\n"+indent(s.table))
	}
	if s.tty {
		s.table = ""
	}
}

// erase takes the table off a terminal.
func (s *screen) erase() {
	if n := strings.Count(s.table, "\n"); s.tty && n > 0 {
		fmt.Fprintf(s.w, "\x1b[%dA\x1b[J", n) // cursor up n lines, clear to the end
	}
}

// clip cuts lines to width columns; 0 cuts nothing.
func clip(s string, width int) string {
	if width <= 0 {
		return s
	}
	var b strings.Builder
	for line := range strings.Lines(s) {
		text, end := strings.CutSuffix(line, "\n")
		if r := []rune(text); len(r) > width {
			text = string(r[:width])
		}
		b.WriteString(text)
		if end {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

func indent(s string) string {
	return "   " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n   ") + "\n"
}
