package daemon

import (
	"time"

	"github.com/shunt-offload/shunt/hwif/flow"
)

// clock is the daemon's one clock: monotonic, and always above 0, so that 0 can
// mean "never".
type clock struct{ start time.Time }

func newClock() clock { return clock{time.Now()} }

// now is read by every source and by the loop.
func (c clock) now() flow.Time { return flow.Time(time.Since(c.start)) + 1 }

// wall gives the time of day of t.
func (c clock) wall(t flow.Time) time.Time { return c.start.Add(time.Duration(t - 1)) }
