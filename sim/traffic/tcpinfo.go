package traffic

import (
	"net"

	"golang.org/x/sys/unix"
)

// readInfo reads TCP_INFO: tcpi_total_retrans, and tcpi_segs_out plus
// tcpi_segs_in, which count frames even where the kernel handles many as one.
// Zeros if the kernel does not say.
func readInfo(c *net.TCPConn) (retransmits uint32, segments uint64) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, 0
	}
	_ = raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			retransmits, segments = info.Total_retrans, uint64(info.Segs_out)+uint64(info.Segs_in)
		}
	})
	return retransmits, segments
}
