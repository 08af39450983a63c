package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/shunt-offload/shunt/cmd/internal/config"
	"github.com/shunt-offload/shunt/hwif"
)

// simDriver is the driver whose device is in memory.
const simDriver = "sim"

// openDevice takes hold of the device that the configuration names.
func openDevice(ctx context.Context, driver hwif.Driver, cfg *config.Config, notes []string, log *slog.Logger) (*hwif.NIC, error) {
	dev, err := driver.Open(ctx, openOptions(cfg, log))
	if err != nil {
		return nil, fmt.Errorf("open device: %w", err)
	}
	if len(notes) > 0 {
		dev = noted{dev, notes}
	}
	nic := hwif.NewNIC(dev, hwif.NICOptions{Clock: time.Now})
	caps := nic.Caps()
	if cfg.OnExit == config.Keep && !caps.Persistent {
		err := cannotKeep(cfg)
		if closeErr := nic.Close(true); closeErr != nil {
			return nil, fmt.Errorf("%w; close device: %w", err, closeErr)
		}
		return nil, err
	}
	log.Info("device open", "driver", caps.Driver, "ports", cfg.NIC.Ports, "rules", caps.MaxRules,
		"counters", caps.Counters.String(), "persistent", caps.Persistent)
	for _, n := range caps.Notes {
		log.Info("device", "driver", caps.Driver, "note", n)
	}
	return nic, nil
}

func openOptions(cfg *config.Config, log *slog.Logger) hwif.OpenOptions {
	return hwif.OpenOptions{Ports: cfg.NIC.Ports, MaxRules: cfg.NIC.Rules, Settings: cfg.NIC.Settings, Log: log}
}

func cannotKeep(cfg *config.Config) error {
	return &config.Error{Key: "on_exit", Text: "is keep, but this device's rules end with the daemon; use flush" + pinHint(cfg)}
}

func pinHint(cfg *config.Config) string {
	if cfg.NIC.Driver == "xdp" {
		return ", or set nic.settings: {pin: /sys/fs/bpf/shunt}"
	}
	return ""
}

// noted is a device with more to tell than its driver knows.
type noted struct {
	hwif.Device
	notes []string
}

// Caps adds the notes.
func (n noted) Caps() hwif.Caps {
	c := n.Device.Caps()
	c.Notes = slices.Concat(c.Notes, n.notes)
	return c
}

// Changed is the device's, which the embedded interface does not show.
func (n noted) Changed() <-chan struct{} {
	if w, ok := n.Device.(hwif.Notifier); ok {
		return w.Changed()
	}
	return nil
}
