package daemon

import (
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/shunt-offload/shunt/cmd/internal/config"
	"github.com/shunt-offload/shunt/drivers"
)

// check prints what was understood and looks at what can be seen without
// touching anything: the driver, and whether the ports are there.
func check(cfg *config.Config, out io.Writer) error {
	text, err := cfg.Text()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(out, text); err != nil {
		return err
	}
	if err := preflight(cfg); err != nil {
		return usageError{err}
	}
	fmt.Fprintln(out, "# well understood; shuntctl doctor looks at the host")
	return nil
}

// preflight refuses drivers and ports that are not there.
func preflight(cfg *config.Config) error {
	if _, err := drivers.ByName(cfg.NIC.Driver); err != nil {
		return &config.Error{Key: "nic.driver", Text: err.Error()}
	}
	if cfg.NIC.Driver == simDriver {
		return nil // its ports are its own
	}
	var errs []error
	for _, name := range cfg.NIC.Ports {
		if _, err := net.InterfaceByName(name); err != nil {
			errs = append(errs, &config.Error{Key: "nic.ports", Text: name + " is not there; ip -br link lists the interfaces that are"})
		}
	}
	return errors.Join(errs...)
}
