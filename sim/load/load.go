package load

import "math"

// Version of the generators: results of another one are not to be compared.
const Version = 1

// Flow is one connection.
type Flow struct {
	Begin   float64   // seconds; before 0 for one that is under way when the load begins
	Bytes   []float32 // by second, from the one of Begin on, or from 0 on
	Packets float32   // mean size of one is Bytes/Packets of the whole flow
}

// First is the second in which the flow sends first.
func (f *Flow) First() int { return max(0, int(math.Floor(f.Begin))) }

// Total is what the flow sends in all within the load.
func (f *Flow) Total() (sum float64) {
	for _, b := range f.Bytes {
		sum += float64(b)
	}
	return sum
}

// Load is a set of flows, in the order of their beginnings.
type Load struct {
	Name    string
	Seed    uint64
	Seconds int
	Flows   []Flow
}
