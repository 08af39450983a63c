package filter

import (
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/offload"
)

// Filter decides which flows are meant. The nil Filter means all.
type Filter struct {
	terms []term
	text  string
}

// term is one condition. A term that looks only at tuples is fixed: what it says
// of a flow never changes during that flow's life.
type term struct {
	match  func(*offload.View) bool
	negate bool
	fixed  bool
}

// Env resolves names that only the running daemon knows. Nil functions know no
// names; numbers always work.
type Env struct {
	Port func(name string) (hwif.Ifindex, bool)
}

// Match reports whether every term holds.
func (f *Filter) Match(v *offload.View) bool {
	if f == nil {
		return true
	}
	for i := range f.terms {
		if t := &f.terms[i]; t.match(v) == t.negate {
			return false
		}
	}
	return true
}

// Never reports that v's flow can match neither now nor later in its life: a
// term about its tuples does not hold.
func (f *Filter) Never(v *offload.View) bool {
	if f == nil {
		return false
	}
	for i := range f.terms {
		if t := &f.terms[i]; t.fixed && t.match(v) == t.negate {
			return true
		}
	}
	return false
}

// All reports whether the filter has no terms.
func (f *Filter) All() bool { return f == nil || len(f.terms) == 0 }

// String is the filter as it was written.
func (f *Filter) String() string {
	if f == nil {
		return ""
	}
	return f.text
}
