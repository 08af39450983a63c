package daemon

import (
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/cmd/internal/config"
)

// hold keeps other daemons of this network namespace off ports: tc lets anybody
// put filters anywhere, and two shuntds on one port would take each other's rules
// for ghosts. An abstract socket is a name that the kernel gives once in a
// namespace and takes back when its process ends, however it ends. Nobody is ever
// answered on it.
func hold(ports []string) (held []net.Listener, err error) {
	for _, name := range ports {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: portName(name)})
		if err != nil {
			for _, h := range held {
				_ = h.Close()
			}
			if errors.Is(err, unix.EADDRINUSE) {
				err = &config.Error{Key: "nic.ports", Text: fmt.Sprintf("%s is in the hands of another shuntd%s; end it, or leave the port out", name, holder(name))}
			}
			return nil, err
		}
		held = append(held, l)
	}
	return held, nil
}

func portName(port string) string { return "@shunt/port/" + port }

// holder is the process that holds a port, in words.
func holder(port string) string {
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Net: "unix", Name: portName(port)})
	if err != nil {
		return ""
	}
	defer c.Close()
	raw, err := c.SyscallConn()
	if err != nil {
		return ""
	}
	pid := int32(0)
	_ = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = cred.Pid
		}
	})
	if pid == 0 { // of another PID namespace
		return ""
	}
	return fmt.Sprintf(" (pid %d)", pid)
}
