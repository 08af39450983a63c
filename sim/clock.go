package sim

import (
	"context"
	"sync"
	"time"

	"github.com/shunt-offload/shunt/hwif/flow"
)

// Clock tells a simulation's time. It stands still until Advance, so that a test
// decides what happens before what. The zero value is a clock that stands at 0.
type Clock struct {
	mu   sync.Mutex
	now  flow.Time
	wake chan struct{}    // closed by Advance; nil while nobody waits
	real func() flow.Time // nil for a clock that is turned by hand
}

// NewClock is a clock that stands at start until it is advanced.
func NewClock(start flow.Time) *Clock { return &Clock{now: start} }

// NewRealClock is a clock that goes by itself; now must be monotonic.
func NewRealClock(now func() flow.Time) *Clock { return &Clock{real: now} }

// Now is the time.
func (c *Clock) Now() flow.Time {
	if c.real != nil {
		return c.real()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance turns the clock forward by d and wakes whoever waits. It panics on a
// clock that goes by itself, and on a negative d: time does not run back.
func (c *Clock) Advance(d time.Duration) {
	if c.real != nil || d < 0 {
		panic("sim: Advance needs a clock that is turned by hand, and goes forward only")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now += flow.Time(d)
	if c.wake != nil {
		close(c.wake)
		c.wake = nil
	}
}

// Wait returns when the clock has reached t, or with ctx's error.
func (c *Clock) Wait(ctx context.Context, t flow.Time) error {
	if c.real != nil {
		timer := time.NewTimer(time.Duration(t - c.real()))
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for {
		c.mu.Lock()
		if c.now >= t {
			c.mu.Unlock()
			return nil
		}
		if c.wake == nil {
			c.wake = make(chan struct{})
		}
		wake := c.wake
		c.mu.Unlock()
		select {
		case <-wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
