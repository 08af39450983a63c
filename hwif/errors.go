package hwif

import (
	"errors"
	"fmt"
	"strings"
)

// Kind classifies what a device said no with. The set is closed; it is a log
// field, a metric label and an API enum at once.
type Kind uint8

const (
	KindOther       Kind = iota // unknown: retry slowly
	KindUnsupported             // this device never will: do not ask again for this shape
	KindFull                    // no slot: again after removals
	KindBusy                    // not now: back off, retry
	KindExist                   // an equal match is already there
	KindNotExist                // no such rule
	KindInvalid                 // we built nonsense: never retry, our fault
	KindGone                    // device or port vanished
	KindPermission              // no rights: stop and say so
	numKinds
)

var kindNames = [numKinds]string{
	"other", "unsupported", "full", "busy", "exist", "not_exist", "invalid", "gone", "permission",
}

func (k Kind) String() string {
	if k < numKinds {
		return kindNames[k]
	}
	return "other"
}

// Kinds lists every Kind.
func Kinds() []Kind {
	out := make([]Kind, numKinds)
	for i := range out {
		out[i] = Kind(i)
	}
	return out
}

// Retry reports whether asking again later can succeed without a change of
// configuration. It is the only retry rule.
func (k Kind) Retry() bool {
	switch k {
	case KindOther, KindFull, KindBusy, KindExist:
		return true
	}
	return false
}

// Sentinels for errors.Is; each matches every *Error of its kind.
var (
	ErrUnsupported = errors.New("unsupported")
	ErrFull        = errors.New("table full")
	ErrBusy        = errors.New("busy")
	ErrExist       = errors.New("exists")
	ErrNotExist    = errors.New("does not exist")
	ErrInvalid     = errors.New("invalid")
	ErrGone        = errors.New("gone")
	ErrPermission  = errors.New("not permitted")
)

var kindErrs = [numKinds]error{
	nil, ErrUnsupported, ErrFull, ErrBusy, ErrExist, ErrNotExist, ErrInvalid, ErrGone, ErrPermission,
}

// Error is the one error type at the hardware seam. It prints what, where, why.
type Error struct {
	Op     string // "install", "remove", "list", "count", "open"
	Device string // driver and instance, "xdp"
	Port   string // port name, empty when the device as a whole is meant
	Cookie Cookie // the rule, zero when none is meant
	Kind   Kind   // closed class
	Field  string // match field, action or option that does not fit, if one does
	Text   string // the kernel's or driver's own words (extack)
	Err    error  // errno or cause
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	for _, s := range []string{e.Device, e.Port} {
		if s != "" {
			b.WriteByte(' ')
			b.WriteString(s)
		}
	}
	b.WriteString(": ")
	b.WriteString(e.Kind.String())
	if e.Field != "" {
		b.WriteString(": " + e.Field)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	if e.Text != "" {
		fmt.Fprintf(&b, " (%s)", e.Text)
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// Is matches the sentinel of the error's kind.
func (e *Error) Is(target error) bool {
	return e.Kind < numKinds && kindErrs[e.Kind] != nil && kindErrs[e.Kind] == target
}

// KindOf finds the kind of any error; KindOther for one that carries none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	for k, s := range kindErrs {
		if s != nil && errors.Is(err, s) {
			return Kind(k)
		}
	}
	return KindOther
}
