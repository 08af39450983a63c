package doctor

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"
)

// wantBuffer is the default of conntrack.receive_buffer: 64 MiB hold some
// 50 000 events.
const wantBuffer = 64 << 20

// forceBuffer opens a netlink socket, forces its receive buffer and reads it back.
func forceBuffer(bytes int) (int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return 0, fmt.Errorf("netlink socket: %w", err)
	}
	defer unix.Close(fd)
	// The kernel doubles what is asked for (sock(7)).
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, bytes/2); err != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, bytes/2) // up to rmem_max
	}
	return unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
}

func receiveBuffer(_ context.Context, h *host) []Finding {
	f := Finding{Name: "receive_buffer"}
	got, err := h.force(wantBuffer)
	switch {
	case err != nil:
		f.Level, f.Text = Warn, "could not be tried: "+err.Error()
	case got < wantBuffer:
		f.Level = Warn
		f.Text = fmt.Sprintf("the kernel gives a netlink socket %d KiB where %d are wanted; bursts of events will be lost and listed again", got>>10, wantBuffer>>10)
		f.Mend = fmt.Sprintf("sudo sysctl -w net.core.rmem_max=%d", wantBuffer)
	default:
		f.Text = fmt.Sprintf("a netlink socket gets %d MiB", got>>20)
	}
	return []Finding{f}
}
