package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"

	"golang.org/x/sys/unix"
)

// daemon connects to shuntd's socket and asks the kernel who listens there.
func daemon(ctx context.Context, h *host) []Finding {
	path := h.opts.Socket
	if path == "" {
		return nil
	}
	f := Finding{Name: "daemon"}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		defer conn.Close()
		f.Text = "answers on " + path
		if pid, err := peerPID(conn); err == nil {
			f.Text = fmt.Sprintf("pid %d answers on %s", pid, path)
		}
		return append([]Finding{f}, h.running(ctx)...)
	case errors.Is(err, fs.ErrNotExist):
		f.Level, f.Text, f.Mend = Warn, "not running: there is no "+path, h.start()
	case errors.Is(err, unix.ECONNREFUSED):
		f.Level, f.Text, f.Mend = Warn, "not running: "+path+" was left by one that died; the next start takes it away", h.start()
	case errors.Is(err, fs.ErrPermission):
		f.Level, f.Text, f.Mend = Fail, "this user may not connect to "+path, h.again()
	default:
		f.Level, f.Text = Fail, "cannot be reached: "+err.Error()
	}
	return []Finding{f}
}

func peerPID(conn net.Conn) (int32, error) {
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if credErr != nil {
		return 0, credErr
	}
	return cred.Pid, nil
}
