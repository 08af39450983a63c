//go:build netns

package xdp

import (
	"encoding/binary"
	"errors"
	"os/exec"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// packetSocket sends and receives whole frames on one interface.
type packetSocket struct{ fd int }

func openPacket(ifindex int) (*packetSocket, error) {
	const all = unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	for _, err := range []error{
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: ifindex}),
	} {
		if err != nil {
			unix.Close(fd)
			return nil, err
		}
	}
	return &packetSocket{fd: fd}, nil
}

func (s *packetSocket) send(frame []byte) error {
	for {
		_, err := unix.Write(s.fd, frame)
		if err == unix.EINTR || err == unix.EAGAIN || err == unix.ENOBUFS {
			continue
		}
		return err
	}
}

// recv gives the next frame as it was on the wire, or nil when none is there. The
// kernel takes the outermost tag out (skb_vlan_untag); it is put back.
func (s *packetSocket) recv() ([]byte, error) {
	buf, oob := make([]byte, 1<<16), make([]byte, 256)
	n, oobn, _, _, err := unix.Recvmsg(s.fd, buf, oob, 0)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	frame := buf[:n:n]
	msgs, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return nil, err
	}
	for _, m := range msgs {
		if m.Header.Level != unix.SOL_PACKET || m.Header.Type != unix.PACKET_AUXDATA || len(m.Data) < 20 {
			continue
		}
		aux := (*unix.TpacketAuxdata)(unsafe.Pointer(&m.Data[0]))
		if aux.Status&unix.TP_STATUS_VLAN_VALID != 0 && n >= 12 {
			tag := binary.BigEndian.AppendUint16(nil, aux.Vlan_tpid)
			tag = binary.BigEndian.AppendUint16(tag, aux.Vlan_tci)
			frame = append(append(append([]byte{}, frame[:12]...), tag...), frame[12:]...)
		}
	}
	return frame, nil
}

// wait waits until a frame is there, at most d.
func wait(d time.Duration, sockets ...*packetSocket) {
	fds := make([]unix.PollFd, len(sockets))
	for i, s := range sockets {
		fds[i] = unix.PollFd{Fd: int32(s.fd), Events: unix.POLLIN}
	}
	unix.Poll(fds, int(d.Milliseconds()))
}

// setFeature runs ethtool -K in the thread's namespace.
func setFeature(t testing.TB, name, feature, to string) {
	t.Helper()
	if out, err := exec.Command("ethtool", "-K", name, feature, to).CombinedOutput(); err != nil {
		t.Fatalf("ethtool -K %s %s %s: %v: %s", name, feature, to, err, out)
	}
}
