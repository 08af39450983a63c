package daemon

import (
	"context"
	"errors"

	"github.com/shunt-offload/shunt/cmd/internal/card"
	"github.com/shunt-offload/shunt/cmd/internal/config"
	"github.com/shunt-offload/shunt/drivers/flower"
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev"
)

// driverOf finds the driver that the configuration names, and for cards behind tc
// flower looks whether the ports are theirs. It changes nothing.
func driverOf(ctx context.Context, cfg *config.Config) (hwif.Driver, error) {
	name := cfg.NIC.Driver
	if err := knownDriver(name); err != nil {
		return nil, err
	}
	if !card.IsFlower(name) {
		return card.ByName(name)
	}
	if f, ok := card.Flower(name); ok && f.Profile.Refuse != "" {
		return nil, &config.Error{Key: "nic.driver", Text: name + " is recognised and not used: " + f.Profile.Refuse}
	}
	inv, err := switchdev.Read(ctx)
	if err != nil {
		return nil, &config.Error{Key: "nic.driver", Text: "the kernel does not tell of its cards: " + err.Error()}
	}
	ports := make([]card.Port, len(cfg.NIC.Ports))
	for i, port := range cfg.NIC.Ports {
		ports[i] = card.Look(inv, port)
	}
	if name == card.Auto {
		if name, err = card.Choose(ports); err != nil {
			return nil, &config.Error{Key: "nic.driver", Text: "auto: " + err.Error()}
		}
	}
	driver, _ := card.Flower(name)
	return driver, unfit(driver, ports)
}

// knownDriver refuses a word that is no driver's.
func knownDriver(name string) error {
	if name == card.Auto {
		return nil
	}
	if _, err := card.ByName(name); err != nil {
		return &config.Error{Key: "nic.driver", Text: err.Error()}
	}
	return nil
}

// unfit names each port that the driver cannot take.
func unfit(driver *flower.Driver, ports []card.Port) error {
	var errs []error
	for i := range ports {
		if text := card.Unfit(driver, &ports[i]); text != "" {
			errs = append(errs, &config.Error{Key: "nic.ports", Text: text})
		}
	}
	return errors.Join(errs...)
}
