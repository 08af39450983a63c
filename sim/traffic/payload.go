package traffic

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"time"
)

// blockSize is how much is written or read at a time.
const blockSize = 64 << 10

// stream gives the pseudo-random payload of one direction. Two streams of the
// same seed and direction are equal; no part of a stream repeats.
func stream(seed uint64, down bool) *rand.ChaCha8 {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	if down {
		key[8] = 1
	}
	return rand.NewChaCha8(key)
}

// Sum is one direction's payload as one end saw it.
type Sum struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

func sumOf(n int64, h hash.Hash) Sum { return Sum{n, hex.EncodeToString(h.Sum(nil))} }

// send writes n bytes of src at no more than rate bytes per second.
func send(ctx context.Context, w io.Writer, src *rand.ChaCha8, n, rate int64, count func(int64)) (Sum, error) {
	h := sha256.New()
	buf := make([]byte, blockSize)
	p := newPacer(rate)
	var done int64
	for done < n {
		block := buf[:min(int64(len(buf)), n-done, p.block(blockSize))]
		_, _ = src.Read(block) // never fails
		if err := p.wait(ctx, int64(len(block))); err != nil {
			return sumOf(done, h), err
		}
		m, err := w.Write(block)
		h.Write(block[:m])
		done += int64(m)
		count(int64(m))
		if err != nil {
			return sumOf(done, h), fmt.Errorf("send after %d of %d bytes: %w", done, n, err)
		}
	}
	return sumOf(done, h), nil
}

// receive reads n bytes.
func receive(r io.Reader, n int64, count func(int64)) (Sum, error) {
	h := sha256.New()
	buf := make([]byte, blockSize)
	var done int64
	for done < n {
		m, err := r.Read(buf[:min(int64(len(buf)), n-done)])
		h.Write(buf[:m])
		done += int64(m)
		count(int64(m))
		if err != nil && done < n {
			return sumOf(done, h), fmt.Errorf("receive after %d of %d bytes: %w", done, n, err)
		}
	}
	return sumOf(done, h), nil
}

// pacer spreads units over time. It never catches up more than a tenth of a
// second, so that a pause is not followed by a burst.
type pacer struct {
	rate int64 // units per second, 0 is unlimited
	next time.Time
}

func newPacer(rate int64) *pacer { return &pacer{rate: rate} }

// block is the largest piece, up to most, that leaves 50 pieces per second.
func (p *pacer) block(most int64) int64 {
	if p.rate == 0 {
		return most
	}
	return min(most, max(1, p.rate/50))
}

// wait waits until n more units may go.
func (p *pacer) wait(ctx context.Context, n int64) error {
	if p.rate == 0 {
		return ctx.Err()
	}
	now := time.Now()
	if p.next.IsZero() {
		p.next = now
	}
	if floor := now.Add(-100 * time.Millisecond); p.next.Before(floor) {
		p.next = floor
	}
	delay := p.next.Sub(now)
	p.next = p.next.Add(time.Duration(float64(n) / float64(p.rate) * float64(time.Second)))
	// Below a millisecond a timer's own cost is larger than the wait.
	if delay < time.Millisecond {
		return ctx.Err()
	}
	t := time.NewTimer(delay)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
