package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/tc"
)

// replay is the ceiling: messages that were built before, sent as they are, in
// batches of the same size, the last of each acknowledged.
func (c *course) replay() (racer, func() error, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return racer{}, nil, err
	}
	err = errors.Join(unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}),
		unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 2<<20))
	if err != nil {
		return racer{}, nil, errors.Join(err, unix.Close(fd))
	}
	filters := c.filters(prioReplay)
	build := func(one func(b []byte, seq uint32, f *tc.Filter, s *tc.Shape) ([]byte, error)) ([][]byte, error) {
		var out [][]byte
		for start := 0; start < len(filters); start += tc.Batch {
			var b []byte
			for i := start; i < min(start+tc.Batch, len(filters)); i++ {
				at := len(b)
				var err error
				if b, err = one(b, uint32(i+1), &filters[i], &shape); err != nil {
					return nil, err
				}
				if i+1 < min(start+tc.Batch, len(filters)) {
					flags := binary.NativeEndian.Uint16(b[at+6:])
					binary.NativeEndian.PutUint16(b[at+6:], flags&^unix.NLM_F_ACK)
				}
			}
			out = append(out, b)
		}
		return out, nil
	}
	adds, err := build(tc.Append)
	if err != nil {
		return racer{}, nil, errors.Join(err, unix.Close(fd))
	}
	dels, err := build(tc.AppendDelete)
	if err != nil {
		return racer{}, nil, errors.Join(err, unix.Close(fd))
	}
	buf := make([]byte, 8192)
	send := func(batches [][]byte) func(context.Context) error {
		return func(context.Context) error {
			for _, b := range batches {
				if _, err := unix.Write(fd, b); err != nil {
					return err
				}
				n, err := unix.Read(fd, buf)
				if err != nil {
					return err
				}
				if n < 20 || binary.NativeEndian.Uint32(buf[16:]) != 0 {
					return fmt.Errorf("the kernel said %d", int32(binary.NativeEndian.Uint32(buf[16:])))
				}
			}
			return nil
		}
	}
	return racer{name: nameReplay, note: "messages built before; no counters with the removal", insert: send(adds), remove: send(dels)},
		func() error { return unix.Close(fd) }, nil
}
