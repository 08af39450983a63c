package doctor

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// needed are the capabilities of shuntd with the xdp driver, and what for.
var needed = []struct {
	bit  uint
	name string
}{
	{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN"}, // conntrack, attaching programs to ports
	{unix.CAP_BPF, "CAP_BPF"},             // maps and programs
	{unix.CAP_PERFMON, "CAP_PERFMON"},     // programs that read kernel structures
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

// Lacking names the capabilities that this process would need and does not
// have, none when all is well.
func Lacking() ([]string, error) { return lacking(effective) }

func lacking(caps func() (uint64, error)) ([]string, error) {
	have, err := caps()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, n := range needed {
		if have&(1<<n.bit) == 0 {
			out = append(out, n.name)
		}
	}
	return out, nil
}

func privileges(_ context.Context, h *host) []Finding {
	f := Finding{Name: "privileges"}
	missing, err := lacking(h.caps)
	switch {
	case err != nil:
		f.Level, f.Text = Warn, "could not be read: "+err.Error()
	case len(missing) > 0:
		f.Level = Fail
		f.Text = "this process lacks " + strings.Join(missing, ", ") + "; what follows may be wrong for that reason"
		f.Mend = "run it with sudo, or in a systemd unit: AmbientCapabilities=" + strings.Join(missing, " ")
	default:
		f.Text = "CAP_NET_ADMIN, CAP_BPF and CAP_PERFMON are there"
	}
	return []Finding{f}
}
