package daemon

import (
	"fmt"
	"log/slog"

	"github.com/shunt-offload/shunt/cmd/internal/config"
	"github.com/shunt-offload/shunt/route"
	"github.com/shunt-offload/shunt/route/observe"
)

// The words of route.observer.
var observerModes = map[string]observe.Mode{"auto": observe.Auto, "tcx": observe.TCX, "tracepoint": observe.Tracepoint}

// openObserver opens what route.observer names, nil for off, and says what it came
// to. One that was left to choice may be missing: the tables stand in for it.
func openObserver(cfg *config.Config, clk clock, log *slog.Logger) (*observe.Observer, string, error) {
	mode, on := observerModes[cfg.Route.Observer]
	if !on {
		return nil, "routes are learnt from the kernel's tables alone: route.observer is off", nil
	}
	ob, err := observe.Open(observe.Options{Mode: mode, Clock: clk.now})
	switch {
	case err != nil && mode == observe.Auto:
		log.Warn("no observer; routes are learnt from the kernel's tables alone", "err", err)
		return nil, "routes are learnt from the kernel's tables alone: " + err.Error(), nil
	case err != nil:
		return nil, "", &config.Error{Key: "route.observer", Text: fmt.Sprintf("%s can't be used: %v; auto takes what works", mode, err)}
	}
	note := "routes are learnt from packets, seen by " + ob.Mode().String()
	if ob.Why() != "" {
		note += " (" + ob.Why() + ")"
	}
	return ob, note, nil
}

// thresholds tells the observer from when on it is to speak up, and of what.
func (d *daemon) thresholds(old, cfg *config.Config) error {
	if d.observer == nil {
		for _, key := range cfg.Policy.Watching() {
			d.log.Warn("this key has no effect: no observer sees packets", "key", key)
		}
		return nil
	}
	if err := d.observer.SetThreshold(heavyAt(&cfg.Policy)); err != nil {
		return err
	}
	if err := d.observer.SetUntracked(cfg.Policy.Untracked != "off"); err != nil {
		return err
	}
	if old.Policy.Untracked != cfg.Policy.Untracked {
		// Those that were told of under the old word went by.
		if err := d.observer.ResetAll(); err != nil {
			return err
		}
	}
	return d.observer.SetDropThreshold(uint64(cfg.Policy.DropPackets))
}

// watching is ob as the resolver takes it: a nil pointer is no observer.
func watching(ob *observe.Observer) route.Observer {
	if ob == nil {
		return nil
	}
	return ob
}
