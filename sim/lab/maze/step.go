package maze

import (
	"fmt"
	"maps"
	"slices"
)

// kind is one sort of change. Its lines are run in the router's namespace; which
// of them the kernel takes is its own affair.
type kind struct {
	name   string
	weight int
	lines  func(d *dice) []string
}

// Step is what was changed.
type Step struct {
	Number int
	Kind   string
	Lines  []string
	Well   int    // lines that the kernel took
	Said   string // what the commands said
}

func (s *Step) String() string {
	out := fmt.Sprintf("%d %s (%d of %d taken)", s.Number, s.Kind, s.Well, len(s.Lines))
	for _, l := range s.Lines {
		out += "\n    " + l
	}
	return out
}

// repairEvery bounds how far the network drifts from one where packets flow.
const repairEvery = 12

// Step makes one change, number n from 0.
func (m *Maze) Step(n int) (*Step, error) {
	k := m.pick(n)
	s := &Step{Number: n, Kind: k.name, Lines: k.lines(&dice{m.rng})}
	var err error
	s.Well, s.Said, err = sh(m.Router, s.Lines...)
	if s.Well == len(s.Lines) {
		m.Applied[k.name]++
	}
	return s, err
}

func (m *Maze) pick(n int) *kind {
	sum := 0
	for i := range m.kinds {
		sum += m.kinds[i].weight
	}
	at := m.rng.IntN(sum)
	if n%repairEvery == repairEvery-1 {
		return &m.kinds[0]
	}
	for i := range m.kinds {
		if at -= m.kinds[i].weight; at < 0 {
			return &m.kinds[i]
		}
	}
	return &m.kinds[0]
}

// Untaken are the kinds of which the kernel has not taken one step.
func (m *Maze) Untaken() []string {
	var out []string
	for _, k := range m.kinds {
		if m.Applied[k.name] == 0 {
			out = append(out, k.name)
		}
	}
	slices.Sort(out)
	return out
}

// Taken says how many steps of each kind were taken.
func (m *Maze) Taken() string {
	out := ""
	for _, k := range slices.Sorted(maps.Keys(m.Applied)) {
		out += fmt.Sprintf(" %s=%d", k, m.Applied[k])
	}
	return out
}
