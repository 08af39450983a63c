package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/shunt-offload/shunt/cmd/internal/metrics"
	simdrv "github.com/shunt-offload/shunt/drivers/sim"
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/sim"
	"github.com/shunt-offload/shunt/sim/kernel"
)

// scriptedNote is what everyone is told who could take it for real.
const scriptedNote = "This is a simulation: the card is in memory, its kernel is a script, and no packet of this host is touched."

// scriptedPorts are the ports of the scripted router.
func scriptedPorts() []string { return []string{kernel.DemoWAN, kernel.DemoLAN, kernel.DemoWAN2} }

// scripted makes a router in memory: the driver that opens its card, and the
// sources that speak for its kernel. story is how long its demonstration is to
// last; 0 leaves the router without traffic.
func scripted(story time.Duration, clk clock, log *slog.Logger) (hwif.Driver, *sources, error) {
	k, err := kernel.NewDemo(sim.NewRealClock(clk.now))
	if err != nil {
		return nil, nil, fmt.Errorf("make the scripted router: %w", err)
	}
	src := &sources{
		tracker: k.Tracker(), resolver: k.Resolver(),
		timeouts: func() (uint32, uint32) { return 0, 0 }, // the engine's defaults are the script's
		stats:    func(*metrics.Sources) {},
		notes:    []string{scriptedNote},
		close:    func() error { return nil },
	}
	if story > 0 {
		src.play = func(ctx context.Context) error {
			err := k.Play(ctx, kernel.StoryOptions{Length: story, Log: log})
			if errors.Is(err, context.Canceled) && ctx.Err() != nil {
				return nil // cut short by the daemon's end
			}
			return err
		}
	}
	return scriptedDriver{simdrv.New(k.NIC()), k.NIC().Name()}, src, nil
}

// scriptedDriver opens the one card that stands before the scripted kernel.
type scriptedDriver struct {
	*simdrv.Driver
	card string
}

// Open names the card, unless the settings do.
func (d scriptedDriver) Open(ctx context.Context, opts hwif.OpenOptions) (hwif.Device, error) {
	return d.Driver.Open(ctx, d.named(opts))
}

// Check is about what Open would be told.
func (d scriptedDriver) Check(opts hwif.OpenOptions) error { return d.Driver.Check(d.named(opts)) }

// Persistent is about what Open would be told.
func (d scriptedDriver) Persistent(opts hwif.OpenOptions) bool {
	return d.Driver.Persistent(d.named(opts))
}

func (d scriptedDriver) named(opts hwif.OpenOptions) hwif.OpenOptions {
	settings := map[string]string{simdrv.SettingName: d.card}
	for k, v := range opts.Settings {
		settings[k] = v
	}
	opts.Settings = settings
	return opts
}
