package rtnl

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// open makes a non-blocking netlink socket in the calling thread's network
// namespace, with a receive buffer of rcv bytes, or as near as the kernel lets
// an unprivileged caller come.
func open(proto, rcv int) (int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
	if err != nil {
		return -1, err
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, rcv) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, rcv) // never fails: the kernel clamps
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1) // only saves bytes
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("bind netlink socket: %w", err)
	}
	return fd, nil
}

func join(fd int, group int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, group); err != nil {
		return fmt.Errorf("join netlink group %d: %w", group, err)
	}
	return nil
}

// fromKernel reports whether a datagram came from the kernel: anyone may send
// to a netlink socket's port.
func fromKernel(sa unix.Sockaddr) bool {
	nl, ok := sa.(*unix.SockaddrNetlink)
	return ok && nl.Pid == 0
}

// errnoOf is the error of an NLMSG_ERROR body, 0 for an acknowledgement.
func errnoOf(b []byte) unix.Errno {
	if len(b) < 4 {
		return unix.EBADMSG
	}
	return unix.Errno(-int32(ne.Uint32(b)))
}
