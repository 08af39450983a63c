package simnic

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Quiet sets interfaces up without IPv6, so that nobody but a Tap talks on them.
func Quiet(names ...string) error {
	var errs []error
	for _, n := range names {
		errs = append(errs, os.WriteFile("/proc/sys/net/ipv6/conf/"+n+"/disable_ipv6", []byte("1"), 0o644), Up(n))
	}
	return errors.Join(errs...)
}

// Up sets an interface up (SIOCSIFFLAGS).
func Up(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, ifr); err != nil {
		return fmt.Errorf("flags of %s: %w", name, err)
	}
	ifr.SetUint16(ifr.Uint16() | unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr); err != nil {
		return fmt.Errorf("set %s up: %w", name, err)
	}
	return nil
}

// Quieten is Quiet for both sides of ports.
func (c *Card) Quieten(ports ...string) error {
	var names []string
	for _, p := range ports {
		names = append(names, p, c.Far(p))
	}
	return Quiet(names...)
}
