package traffic

import (
	"sync"
	"time"
)

// UDPReport is what one end sent and received.
type UDPReport struct {
	Sent      uint64 `json:"sent"`      // given to the socket, which may have lost it
	Received  uint64 `json:"received"`  // different ones
	Doubled   uint64 `json:"doubled"`   // came again
	Reordered uint64 `json:"reordered"` // came after one with a higher number
	Corrupt   uint64 `json:"corrupt"`   // checksum or payload wrong
	// Silence is the longest time between two datagrams, in milliseconds.
	Silence float64 `json:"longest_silence_ms"`
}

// ledger keeps one end's account. Safe for several goroutines.
type ledger struct {
	mu      sync.Mutex
	rep     UDPReport
	seen    []uint64 // bit n: datagram n came
	size    int
	seed    uint64
	highest uint64
	last    time.Time
}

func newLedger(req *UDPRequest) *ledger {
	return &ledger{seen: make([]uint64, (req.Datagrams+63)/64), size: req.Size, seed: req.Seed}
}

// got enters a data datagram that came at now.
func (l *ledger) got(d *datagram, seed uint64, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	word, bit := d.number/64, uint64(1)<<(d.number%64)
	switch {
	case len(d.body) != l.size-headerLen || word >= uint64(len(l.seen)) || !filled(d.body, seed, d.number):
		l.rep.Corrupt++
		return
	case l.seen[word]&bit != 0:
		l.rep.Doubled++
		return
	}
	l.seen[word] |= bit
	l.rep.Received++
	if d.number < l.highest {
		l.rep.Reordered++
	}
	l.highest = max(l.highest, d.number)
	if !l.last.IsZero() {
		l.rep.Silence = max(l.rep.Silence, float64(now.Sub(l.last).Microseconds())/1000)
	}
	l.last = now
}

func (l *ledger) sent() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rep.Sent++
}

func (l *ledger) corrupt() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rep.Corrupt++
}

func (l *ledger) report() UDPReport {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rep
}

// quiet reports how long nothing new has come, and whether anything ever came.
func (l *ledger) quiet(now time.Time) (time.Duration, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return now.Sub(l.last), !l.last.IsZero()
}
