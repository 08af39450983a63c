package maze

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

var be = binary.BigEndian

// Where the payload of a datagram begins in an untagged frame.
const (
	payload4 = 14 + 20 + 8
	payload6 = 14 + 40 + 8
)

// magic begins the payload of every probe.
var magic = []byte("shuntmaz")

// tap is a packet socket on one cable: what it sends enters the router, and it
// sees what the router sends.
type tap struct{ fd int }

func newTap(name string) (*tap, error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", name, err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	t := &tap{fd}
	const ignoreOutgoing = 23 // PACKET_IGNORE_OUTGOING
	for _, step := range []func() error{
		func() error { return unix.SetsockoptInt(fd, unix.SOL_PACKET, ignoreOutgoing, 1) },
		func() error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20) },
		func() error {
			return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: unix.ETH_P_ALL << 8, Ifindex: i.Index})
		},
	} {
		if err := step(); err != nil {
			t.close()
			return nil, fmt.Errorf("packet socket on %s: %w", name, err)
		}
	}
	return t, nil
}

func (t *tap) close() { unix.Close(t.fd) }

func (t *tap) send(b []byte) error {
	_, err := unix.Write(t.fd, b)
	return err
}

// probes takes what has come and calls f for every probe among it: its number, its
// form, and the frame with the mark of its form taken out.
func (t *tap) probes(f func(id uint32, as form, frame []byte)) {
	var b [2048]byte
	for {
		n, err := unix.Read(t.fd, b[:])
		if err != nil {
			return
		}
		at := bytes.Index(b[:n], magic)
		if at != payload4 && at != payload6 || at+16 > n {
			continue // not a probe; an ICMP error quotes one further back
		}
		id, as := be.Uint32(b[at+8:]), forNIC
		if be.Uint16(b[at+12:]) != 0xaaaa {
			as = forKernel
		}
		clear(b[at+12 : at+16])
		f(id, as, bytes.Clone(b[:n]))
	}
}
