package doctor

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// needed are the capabilities of shuntd, which drivers need them, and what for.
var needed = []struct {
	bit  uint
	name string
	on   drivers
}{
	{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN", onKernel}, // conntrack, attaching programs to ports, filters
	{unix.CAP_BPF, "CAP_BPF", onXDP},                // maps and programs
	{unix.CAP_PERFMON, "CAP_PERFMON", onXDP},        // programs that read kernel structures
}

// effective reads the calling thread's effective capabilities.
func effective() (uint64, error) {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return 0, fmt.Errorf("capget: %w", err)
	}
	return uint64(data[1].Effective)<<32 | uint64(data[0].Effective), nil
}

// Lacking names the capabilities that this process would need with a driver and
// does not have, none when all is well.
func Lacking(driver string) ([]string, error) {
	missing, _, err := lacking(effective, familyOf(driver))
	return missing, err
}

func lacking(caps func() (uint64, error), on drivers) (missing, there []string, err error) {
	have, err := caps()
	if err != nil {
		return nil, nil, err
	}
	for _, n := range needed {
		switch {
		case n.on&on == 0:
		case have&(1<<n.bit) == 0:
			missing = append(missing, n.name)
		default:
			there = append(there, n.name)
		}
	}
	return missing, there, nil
}

func privileges(_ context.Context, h *host) []Finding {
	f := Finding{Name: "privileges"}
	missing, there, err := lacking(h.caps, familyOf(h.opts.Driver))
	switch {
	case err != nil:
		f.Level, f.Text = Warn, "could not be read: "+err.Error()
	case len(missing) > 0:
		f.Level = Fail
		f.Text = "this process lacks " + strings.Join(missing, ", ") + "; what follows may be wrong for that reason"
		f.Mend = "run it with sudo, or in a systemd unit: AmbientCapabilities=" + strings.Join(missing, " ")
	default:
		f.Text = strings.Join(there, ", ") + ": all there"
	}
	return []Finding{f}
}
