package filter

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/shunt-offload/shunt/hwif/offload"
)

// MaxLen is the longest filter in bytes, and maxValues the most values of one
// term: a filter runs once per flow on the engine's goroutine.
const (
	MaxLen    = 4096
	maxValues = 256
)

// Error says what is wrong with a filter and where.
type Error struct {
	Column int    // of the word, in characters, from 1
	Word   string // as it was written
	Text   string // what is wrong with it
	Mend   string // what would be right; may be empty
}

func (e *Error) Error() string {
	s := fmt.Sprintf("filter, column %d: %s", e.Column, e.Text)
	if e.Mend != "" {
		s += "; " + e.Mend
	}
	return s
}

// Parse reads a filter. Errors are *Error.
func Parse(text string, env Env) (*Filter, error) {
	if len(text) > MaxLen {
		return nil, &Error{Column: MaxLen + 1, Text: fmt.Sprintf("longer than %d bytes", MaxLen)}
	}
	if !utf8.ValidString(text) {
		return nil, &Error{Column: 1, Text: "not valid UTF-8"}
	}
	f := &Filter{text: text}
	for at := 0; at < len(text); {
		if isSpace(text[at]) {
			at++
			continue
		}
		end := at
		for end < len(text) && !isSpace(text[end]) {
			end++
		}
		p := parser{text: text, env: env}
		t, err := p.term(at, text[at:end])
		if err != nil {
			return nil, err
		}
		f.terms = append(f.terms, t)
		at = end
	}
	return f, nil
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

type parser struct {
	text string
	env  Env
}

// fail makes an Error about the word that begins at byte at.
func (p *parser) fail(at int, word, text, mend string) *Error {
	return &Error{Column: utf8.RuneCountInString(p.text[:at]) + 1, Word: word, Text: text, Mend: mend}
}

func (p *parser) term(at int, word string) (term, error) {
	eq := strings.IndexByte(word, '=')
	if eq < 0 {
		return p.flag(at, word)
	}
	name, negate := word[:eq], false
	if strings.HasSuffix(name, "!") {
		name, negate = name[:len(name)-1], true
	}
	k := find(keys, name)
	if k == nil {
		return term{}, p.unknownKey(at, name)
	}
	var tests []func(*offload.View) bool
	at += eq + 1
	for _, v := range strings.Split(word[eq+1:], ",") {
		if v == "" {
			return term{}, p.fail(at, v, fmt.Sprintf("%s has an empty value", name), "write "+k.example)
		}
		if len(tests) == maxValues {
			return term{}, p.fail(at, v, fmt.Sprintf("%s has more than %d values", name, maxValues), "")
		}
		test, err := k.parse(p.env, v)
		if err != nil {
			return term{}, p.fail(at, v, name+": "+err.text, err.mend)
		}
		tests = append(tests, test)
		at += len(v) + 1
	}
	return term{match: anyOf(tests), negate: negate, fixed: k.fixed}, nil
}

func anyOf(tests []func(*offload.View) bool) func(*offload.View) bool {
	if len(tests) == 1 {
		return tests[0]
	}
	return func(v *offload.View) bool {
		for _, t := range tests {
			if t(v) {
				return true
			}
		}
		return false
	}
}

func (p *parser) flag(at int, word string) (term, error) {
	name, negate := word, false
	if strings.HasPrefix(name, "!") {
		name, negate = name[1:], true
	}
	for i := range flags {
		if flags[i].name == name {
			return term{match: flags[i].test, negate: negate}, nil
		}
	}
	if k := find(keys, name); k != nil {
		return term{}, p.fail(at, word, fmt.Sprintf("%s needs a value", name), "write "+k.example)
	}
	return term{}, p.unknownKey(at, name)
}

func (p *parser) unknownKey(at int, name string) *Error {
	if near := nearest(name, append(Keys(), Flags()...)); near != "" {
		return p.fail(at, name, fmt.Sprintf("unknown key %q", name), fmt.Sprintf("did you mean %q?", near))
	}
	return p.fail(at, name, fmt.Sprintf("unknown key %q", name),
		"keys are "+strings.Join(Keys(), ", ")+"; flags are "+strings.Join(Flags(), ", "))
}
