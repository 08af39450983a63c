package flow

// Stays is an arena of Stay. Number 0 is never given out, so that 0 can mean
// none. Owned by the engine's owner.
type Stays struct {
	chunks []*[stayChunk]Stay
	free   []uint32
	used   uint32
	len    int
}

const stayChunk = 1024

// Len counts stays.
func (s *Stays) Len() int { return s.len }

// Bound is one above the highest number ever used.
func (s *Stays) Bound() uint32 { return s.used }

// At gives a stay; one with Gen 0 and no flow is free.
func (s *Stays) At(n uint32) *Stay { return &s.chunks[n/stayChunk][n%stayChunk] }

// Add makes a stay for a flow.
func (s *Stays) Add(id ID) (uint32, *Stay) {
	if s.used == 0 {
		s.used = 1
		s.chunks = append(s.chunks, new([stayChunk]Stay))
	}
	var n uint32
	if k := len(s.free); k > 0 {
		n = s.free[k-1]
		s.free = s.free[:k-1]
	} else {
		n = s.used
		s.used++
		if int(n/stayChunk) == len(s.chunks) {
			s.chunks = append(s.chunks, new([stayChunk]Stay))
		}
	}
	s.len++
	st := s.At(n)
	*st = Stay{Flow: id, Dirs: BothDirs}
	return n, st
}

// Remove frees a stay.
func (s *Stays) Remove(n uint32) {
	*s.At(n) = Stay{}
	s.free = append(s.free, n)
	s.len--
}
