package traffic

import (
	"net"

	"golang.org/x/sys/unix"
)

// retransmits is tcpi_total_retrans (TCP_INFO) of a connection, 0 if unknown.
func retransmits(c *net.TCPConn) (n uint32) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			n = info.Total_retrans
		}
	})
	return n
}
