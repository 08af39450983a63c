package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"

	"github.com/shunt-offload/shunt/cmd/internal/card"
	"github.com/shunt-offload/shunt/cmd/internal/config"
	"github.com/shunt-offload/shunt/hwif"
)

// check prints what was understood and looks at what can be seen without
// touching anything: the driver, its settings, and whether the ports are there.
func check(ctx context.Context, cfg *config.Config, out io.Writer) error {
	text, err := cfg.Text()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(out, text); err != nil {
		return err
	}
	driver, err := preflight(ctx, cfg)
	if err != nil {
		return usageError{err}
	}
	if cfg.NIC.Driver != driver.Name() {
		fmt.Fprintf(out, "# driver %s is %s here\n", cfg.NIC.Driver, driver.Name())
	}
	fmt.Fprintln(out, "# well understood; shuntctl doctor looks at the host")
	return nil
}

// preflight finds the driver and refuses ports that are not there, and what the
// driver would refuse.
func preflight(ctx context.Context, cfg *config.Config) (hwif.Driver, error) {
	if cfg.NIC.Driver == simDriver { // its ports are its own
		driver, _, err := scripted(0, newClock(), slog.New(slog.DiscardHandler))
		if err != nil {
			return nil, err
		}
		return driver, checkDriver(driver, cfg)
	}
	var absent []error
	for _, name := range cfg.NIC.Ports {
		if _, err := net.InterfaceByName(name); err != nil {
			absent = append(absent, &config.Error{Key: "nic.ports", Text: name + " is not there; ip -br link lists the interfaces that are"})
		}
	}
	if card.IsFlower(cfg.NIC.Driver) && len(absent) > 0 {
		return nil, errors.Join(absent...) // a card is known by its ports
	}
	driver, err := driverOf(ctx, cfg)
	if driver == nil {
		return nil, err
	}
	return driver, errors.Join(append([]error{checkDriver(driver, cfg), err}, absent...)...)
}

// checkDriver asks a driver that can say so what it would refuse, and whether
// rules can be kept with these settings.
func checkDriver(driver hwif.Driver, cfg *config.Config) error {
	opts := openOptions(cfg, nil)
	if c, ok := driver.(interface{ Check(hwif.OpenOptions) error }); ok {
		if err := c.Check(opts); err != nil {
			return driverFault(err)
		}
	}
	if p, ok := driver.(interface{ Persistent(hwif.OpenOptions) bool }); ok && cfg.OnExit == config.Keep && !p.Persistent(opts) {
		return cannotKeep(cfg)
	}
	return nil
}

// driverFault names the key of the configuration that a driver's word is about.
func driverFault(err error) error {
	var e *hwif.Error
	if !errors.As(err, &e) || e.Field == "" {
		return &config.Error{Key: "nic", Text: err.Error()}
	}
	key := "nic.settings." + e.Field
	switch e.Field {
	case "ports":
		key = "nic.ports"
	case "max_rules", "max rules":
		key = "nic.rules"
	}
	text := e.Text
	if e.Port != "" {
		text = e.Port + ": " + text
	}
	if e.Err != nil {
		text = e.Err.Error() + "; " + text
	}
	return &config.Error{Key: key, Text: text}
}
