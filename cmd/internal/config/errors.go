package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
)

// position is a place in a file, from 1.
type position struct{ line, column int }

// Error is one thing wrong with a configuration. It prints as
// "file:line:column: key: text", and below it the lines around the place.
type Error struct {
	File         string // as given; empty when no file is to blame
	Line, Column int    // from 1; 0 when the key is not in the file
	Key          string // "nic.ports"; empty when the file as a whole is meant
	Text         string // what is wrong and what mends it
	Excerpt      string // lines around the place, a mark under the column
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
		}
		b.WriteString(": ")
	}
	if e.Key != "" {
		b.WriteString(e.Key + ": ")
	}
	b.WriteString(e.Text)
	if e.Excerpt != "" {
		b.WriteString("\n" + e.Excerpt)
	}
	return b.String()
}

// fault makes an Error that points at a place.
func (f *File) fault(at position, key, format string, args ...any) error {
	return &Error{
		File: f.path, Line: at.line, Column: at.column, Key: key,
		Text: fmt.Sprintf(format, args...), Excerpt: excerpt(f.src, at),
	}
}

// syntax turns the parser's own error into ours.
func syntax(name string, err error) error {
	var ye yaml.Error
	if !errors.As(err, &ye) {
		return &Error{File: name, Text: err.Error()}
	}
	out := &Error{File: name, Text: ye.GetMessage()}
	if tk := ye.GetToken(); tk != nil && tk.Position != nil {
		out.Line, out.Column = tk.Position.Line, tk.Position.Column
	}
	out.Excerpt = strings.TrimRight(afterFirstLine(ye.FormatError(false, true)), "\n")
	return out
}

func afterFirstLine(s string) string {
	_, rest, _ := strings.Cut(s, "\n")
	return rest
}

// excerpt shows the line at, the one before it, and a mark under the column.
func excerpt(src []byte, at position) string {
	lines := strings.Split(string(src), "\n")
	if at.line < 1 || at.line > len(lines) {
		return ""
	}
	var b strings.Builder
	if at.line > 1 {
		fmt.Fprintf(&b, "%6d | %s\n", at.line-1, lines[at.line-2])
	}
	fmt.Fprintf(&b, ">%5d | %s\n", at.line, lines[at.line-1])
	fmt.Fprintf(&b, "         %s^", strings.Repeat(" ", max(at.column-1, 0)))
	return b.String()
}
