package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shunt-offload/shunt/cmd/internal/config"
	"github.com/shunt-offload/shunt/cmd/internal/doctor"
	"github.com/shunt-offload/shunt/cmd/internal/rpc"
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/offload"
	"github.com/shunt-offload/shunt/route/observe"
)

// Options of Run.
type Options struct {
	Config *config.Config                 // checked; required
	Reload func() (*config.Config, error) // reads the configuration again; nil turns reloading off
	HUP    <-chan os.Signal               // asks for a reload
	Story  time.Duration                  // with the sim driver: plays its demonstration, so long; 0 plays nothing
	Stderr io.Writer                      // of the log; nil means silent
	Ready  func()                         // told when the daemon serves; may be nil
}

// daemon is one run. Its members are set by open and closed by close.
type daemon struct {
	opts  Options
	cfg   *config.Config // what it was started with; never written
	clock clock
	level slog.LevelVar
	log   *slog.Logger

	listen  listeners
	nic     *hwif.NIC
	sources *sources
	// observer is nil when there is none; the sources run it.
	observer *observe.Observer
	loop     *offload.Loop
	api      *rpc.Server
}

// Run runs the daemon until ctx ends, and gives every flow back to the kernel.
// An error says why it could not start or go on; nothing is left behind then.
func Run(ctx context.Context, opts Options) error {
	if opts.Stderr == nil {
		opts.Stderr = io.Discard
	}
	d := &daemon{opts: opts, cfg: opts.Config, clock: newClock()}
	d.log = newLog(d.cfg, opts.Stderr, &d.level)
	if err := d.open(ctx); err != nil {
		return errors.Join(err, d.close())
	}
	d.log.Info("shuntd starts", "version", Version(), "driver", d.nic.Caps().Driver, "ports", d.cfg.NIC.Ports,
		"socket", d.cfg.API.Socket, "policy", d.cfg.Policy.Name, "on_exit", d.cfg.OnExit)
	return d.run(ctx)
}

// run goes until ctx ends or a part fails, and closes everything.
func (d *daemon) run(ctx context.Context) error {
	group, inner := errgroup.WithContext(ctx)
	d.start(inner, group)
	err := group.Wait()
	if err != nil {
		d.log.Error("shuntd cannot go on", "err", err)
	}
	err = errors.Join(err, d.close())
	d.endIntents()
	d.log.Info("shuntd ends")
	return err
}

// endIntents tells operators what they will have to say again: pins and denials
// are kept in memory. It is called after the loop's end, whose last statistics
// are exact.
func (d *daemon) endIntents() {
	st := d.loop.Stats()
	level, text := slog.LevelInfo, "no pin or denial ends with shuntd"
	if st.Pins+st.Denials > 0 {
		level, text = slog.LevelWarn, "pins and denials end with shuntd; they have to be set again after its next start"
	}
	d.log.Log(context.Background(), level, text, "pins", st.Pins, "denials", st.Denials)
}

// open takes hold of everything, the easily refused first.
func (d *daemon) open(ctx context.Context) error {
	isSim := d.cfg.NIC.Driver == simDriver
	if !isSim {
		if err := privileged(d.cfg.NIC.Driver); err != nil {
			return err
		}
	}
	driver, err := preflight(ctx, d.cfg)
	if err != nil {
		return usageError{err}
	}
	if d.cfg.NIC.Driver != driver.Name() {
		d.log.Info("driver chosen by the ports", "driver", driver.Name(), "ports", d.cfg.NIC.Ports)
	}
	if d.listen, err = listen(d.cfg); err != nil {
		return err
	}
	if isSim {
		err = d.openScripted(ctx)
	} else {
		err = d.openKernel(ctx, driver)
	}
	if err != nil {
		return err
	}
	return d.makeLoop()
}

// makeLoop puts an engine between device and sources, and the API before it.
func (d *daemon) makeLoop() (err error) {
	d.loop = offload.NewLoop(offload.New(engineOptions(d.cfg, d.sources)), offload.LoopOptions{
		NICs: []*hwif.NIC{d.nic}, Tracker: d.sources.tracker, Resolver: d.sources.resolver,
		Clock: d.clock.now, Count: d.cfg.NIC.Count, Relist: d.cfg.Conntrack.Relist,
		Keep: d.cfg.OnExit == config.Keep, Log: d.log,
	})
	d.api, err = rpc.New(d.loop, rpc.Options{Log: d.log, Wall: d.clock.wall, Version: Version(), Started: d.clock.start})
	return err
}

// openKernel opens a device of this host, and the sources that follow its kernel.
func (d *daemon) openKernel(ctx context.Context, driver hwif.Driver) (err error) {
	var note string
	if d.observer, note, err = openObserver(d.cfg, d.clock, d.log); err != nil {
		return err
	}
	if err = d.thresholds(d.cfg, d.cfg); err != nil {
		return err
	}
	if d.nic, err = openDevice(ctx, driver, d.cfg, []string{note}, d.log); err != nil {
		return err
	}
	d.sources, err = kernelSources(d.cfg, driver.Name(), d.observer, d.clock, d.log)
	return err
}

// openScripted makes a router in memory.
func (d *daemon) openScripted(ctx context.Context) error {
	d.log.Warn(scriptedNote)
	driver, src, err := scripted(d.opts.Story, d.clock, d.log)
	if err != nil {
		return err
	}
	d.sources = src
	d.nic, err = openDevice(ctx, driver, d.cfg, src.notes, d.log)
	return err
}

// close lets go of everything in the reverse order. What was handed to a server
// is closed already, which is no error.
func (d *daemon) close() error {
	var errs []error
	if d.sources != nil {
		if err := d.sources.close(); err != nil {
			errs = append(errs, fmt.Errorf("close sources: %w", err))
		}
	}
	if d.observer != nil {
		if err := d.observer.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close observer: %w", err))
		}
	}
	if d.nic != nil {
		if err := d.nic.Close(d.cfg.OnExit != config.Keep); err != nil {
			errs = append(errs, fmt.Errorf("close device: %w", err))
		}
	}
	d.listen.close()
	return errors.Join(errs...)
}

// privileged says in one sentence which capabilities are missing.
func privileged(driver string) error {
	missing, err := doctor.Lacking(driver)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return fmt.Errorf("missing privileges: %s; run it as root, or in a systemd unit with AmbientCapabilities=%s",
			strings.Join(missing, ", "), strings.Join(missing, " "))
	}
	return nil
}

// deviceCheck is how often the device's state is looked at, and devicePatience
// how many times in a row it may be failed: a reading that fails once can be a
// busy kernel, three are a device that is gone.
const (
	deviceCheck    = 2 * time.Second
	devicePatience = 3
)

// watchDevice ends the daemon when the device does not answer any more: rules
// that cannot be counted or removed must not be trusted.
func (d *daemon) watchDevice(ctx context.Context) error {
	tick := time.NewTicker(deviceCheck)
	defer tick.Stop()
	for failed := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		text := ""
		if err := d.loop.Do(ctx, func(e *offload.Engine) { text = failure(e) }); err != nil {
			return nil // the loop has ended, and says itself why
		}
		if text == "" {
			failed = 0
			continue
		}
		if failed++; failed >= devicePatience {
			return fmt.Errorf("device does not answer: %s", text)
		}
	}
}

func failure(e *offload.Engine) string {
	for _, dev := range e.Devices() {
		if dev.Failed != "" {
			return dev.Failed
		}
	}
	return ""
}
