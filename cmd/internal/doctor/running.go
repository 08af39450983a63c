package doctor

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/shunt-offload/shunt/cmd/internal/card"
	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

// fellBack begins the note of a device that runs in generic mode because native
// was tried and is not possible (drivers/xdp).
const fellBack = "generic mode was taken"

// running holds what the daemon says of its devices against what is wanted.
func (h *host) running(ctx context.Context) []Finding {
	if h.opts.Devices == nil {
		return nil
	}
	devices, err := h.daemonDevices(ctx)
	if err != nil {
		return []Finding{{Name: "daemon_ports", Level: Warn, Text: "the daemon does not say which ports it has: " + err.Error()}}
	}
	return append(h.runningPorts(devices), runningMode(devices)...)
}

// asDaemon has the ports of a daemon that answers looked at where none are named, and
// its driver.
func (h *host) asDaemon(ctx context.Context) {
	if len(h.opts.Ports) > 0 || ctx.Err() != nil {
		return
	}
	devices, err := h.daemonDevices(ctx)
	if err != nil {
		return
	}
	for _, d := range devices {
		name, wanted := d.GetDriver(), h.opts.Driver
		if _, err := card.ByName(name); err != nil || wanted != "" && wanted != name && (wanted != card.Auto || !card.IsFlower(name)) {
			continue
		}
		if wanted == "" {
			h.opts.Driver = name
		}
		for _, p := range d.GetPorts() {
			h.opts.Ports = append(h.opts.Ports, p.GetName())
		}
	}
}

// daemonDevices asks the daemon for its devices, once.
func (h *host) daemonDevices(ctx context.Context) ([]*pb.Device, error) {
	if h.opts.Devices == nil {
		return nil, errors.New("there is no way to ask it")
	}
	if !h.asked {
		h.asked = true
		h.devices, h.silent = h.opts.Devices(ctx)
	}
	return h.devices, h.silent
}

func (h *host) runningPorts(devices []*pb.Device) []Finding {
	var has, lacks []string
	for _, d := range devices {
		for _, p := range d.GetPorts() {
			has = append(has, p.GetName())
		}
	}
	for _, p := range h.opts.Ports {
		if !slices.Contains(has, p) {
			lacks = append(lacks, p)
		}
	}
	f := Finding{Name: "daemon_ports", Text: "the daemon runs with " + strings.Join(has, ", ")}
	if len(has) == 0 {
		f.Text = "the daemon runs without any port"
	}
	if len(lacks) > 0 {
		f.Level, f.Text = Warn, f.Text+", without "+strings.Join(lacks, ", ")+": ports are taken at its start"
		f.Mend = "stop it, then: " + h.start()
	}
	return []Finding{f}
}

func runningMode(devices []*pb.Device) []Finding {
	var out []Finding
	for _, d := range devices {
		for _, note := range d.GetCapabilities().GetNotes() {
			if strings.HasPrefix(strings.ToLower(note), fellBack) {
				out = append(out, Finding{
					Name: "daemon_mode", Level: Warn,
					Text: "the daemon runs in generic mode, which is slower: " + note,
					Mend: "set right what this names, then restart shuntd: the mode is chosen at its start",
				})
			}
		}
	}
	return out
}
