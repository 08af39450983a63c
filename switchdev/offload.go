package switchdev

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/mdlayher/netlink"
	"github.com/safchain/ethtool"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev/wire"
)

// feature is NETIF_F_HW_TC's name in ethtool.
const feature = "hw-tc-offload"

// ioctls is ethtool's old form, by name of the interface. It serves kernels
// without ethtool netlink (before 5.6, or built without), and names drivers.
type ioctls interface {
	DriverName(name string) (string, error)
	FeaturesWithState(name string) (map[string]ethtool.FeatureState, error)
	Change(name string, to map[string]bool) error
	Close() error
}

type realIoctls struct{ *ethtool.Ethtool }

func newIoctls() (ioctls, error) {
	e, err := ethtool.NewEthtool()
	if err != nil {
		return nil, err
	}
	return realIoctls{e}, nil
}

func (r realIoctls) Close() error { r.Ethtool.Close(); return nil }

// TCOffload asks for the state of hw-tc-offload alone.
func (c *Conn) TCOffload(ctx context.Context, i hwif.Ifindex) (TCOffload, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tcOffload(ctx, i, "")
}

// tcOffload asks by number; name, when known, saves the old form a question.
func (c *Conn) tcOffload(ctx context.Context, i hwif.Ifindex, name string) (TCOffload, error) {
	const op = "ETHTOOL_MSG_FEATURES_GET"
	if c.ethtool == 0 {
		return c.oldOffload(ctx, i, name)
	}
	out, err := c.generic(ctx, c.ethtool, unix.ETHTOOL_GENL_VERSION, unix.ETHTOOL_MSG_FEATURES_GET, wire.AppendGetFeatures(nil, i, c.bit != wire.NoBit), 0)
	if err == nil && len(out) != 1 {
		err = fmt.Errorf("%d answers, want one", len(out))
	}
	if err != nil {
		return TCOffloadUnknown, failPort(op, i, name, err)
	}
	f, err := wire.ParseFeature(out[0], feature, c.bit)
	if err == nil && f.Ifindex != i {
		err = fmt.Errorf("answer about interface %d", f.Ifindex)
	}
	if err == nil && f.Bit == wire.NoBit {
		err = fmt.Errorf("this kernel has no feature %s", feature)
	}
	if err != nil {
		return TCOffloadUnknown, failPort(op, i, name, err)
	}
	c.bit = f.Bit
	return offloadOf(f.Active, !f.HW || f.NoChange), nil
}

func offloadOf(on, fixed bool) TCOffload {
	switch {
	case on && fixed:
		return TCOffloadOnFixed
	case on:
		return TCOffloadOn
	case fixed:
		return TCOffloadOffFixed
	}
	return TCOffloadOff
}

func (c *Conn) oldOffload(ctx context.Context, i hwif.Ifindex, name string) (TCOffload, error) {
	name, err := c.linkName(ctx, i, name)
	if err != nil {
		return TCOffloadUnknown, err
	}
	all, err := c.old.FeaturesWithState(name)
	f, ok := all[feature]
	if err == nil && !ok {
		err = fmt.Errorf("this kernel has no feature %s", feature)
	}
	if err != nil {
		return TCOffloadUnknown, failPort("ETHTOOL_GFEATURES", i, name, err)
	}
	return offloadOf(f.Active, !f.Available || f.NeverChanged), nil
}

// linkName is the interface's name, asked for unless given.
func (c *Conn) linkName(ctx context.Context, i hwif.Ifindex, name string) (string, error) {
	if name != "" {
		return name, nil
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	msgs, err := c.route.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.RTM_GETLINK, Flags: netlink.Request}, Data: wire.AppendGetLink(nil, i),
	})
	if err == nil && len(msgs) != 1 {
		err = fmt.Errorf("%d answers, want one", len(msgs))
	}
	if err != nil {
		return "", failPort("RTM_GETLINK", i, "", err)
	}
	l, ok, err := wire.ParseLink(msgs[0].Data, false)
	if err == nil && !ok {
		err = errors.New("the answer is not about an interface")
	}
	if err != nil {
		return "", failPort("RTM_GETLINK", i, "", err)
	}
	return l.Name, nil
}

// SetTCOffload turns the feature hw-tc-offload of an interface on or off, and
// reads it back: the kernel accepts the request even when nothing comes of it,
// which is then an *Error around ErrNotApplied.
func (c *Conn) SetTCOffload(ctx context.Context, i hwif.Ifindex, on bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	name, err := c.linkName(ctx, i, "")
	if err != nil {
		return err
	}
	op := "ETHTOOL_MSG_FEATURES_SET"
	if c.ethtool != 0 {
		_, err = c.generic(ctx, c.ethtool, unix.ETHTOOL_GENL_VERSION, unix.ETHTOOL_MSG_FEATURES_SET, wire.AppendSetFeature(nil, i, feature, on), netlink.Acknowledge)
	} else {
		op = "ETHTOOL_SFEATURES"
		err = c.old.Change(name, map[string]bool{feature: on})
	}
	if err != nil {
		return failPort(op, i, name, err)
	}
	got, err := c.tcOffload(ctx, i, name)
	if err != nil {
		return err
	}
	if got.On() == on {
		return nil
	}
	e := &Error{Op: op, Port: name, err: ErrNotApplied, Hint: "the driver refused; the kernel log may say why, such as rules that are still offloaded"}
	if got.Fixed() {
		e.Hint = "hw-tc-offload is " + got.String() + ": this kernel or driver can't offload tc rules here"
	}
	return e
}

// readOffload asks about the interfaces of all ports that have not been asked,
// and for the drivers of devices that did not name theirs.
func (c *Conn) readOffload(ctx context.Context, s *sight) error {
	for _, l := range s.join(newInventory()) {
		if _, known := s.offload[l.Index]; known {
			continue
		}
		o, err := c.tcOffload(ctx, l.Index, l.Name)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			s.offload[l.Index] = o
		default:
			s.offload[l.Index], s.silent[l.Index] = TCOffloadUnknown, err
		}
	}
	for h, d := range s.devs {
		if _, asked := s.drivers[h]; d.info.Driver == "" && !asked {
			c.driver(s, h)
		}
	}
	return nil
}

// driver is what ethtool says of a device's port, of an uplink if there is one:
// mlx5's representors call themselves mlx5e_rep.
func (c *Conn) driver(s *sight, h Handle) {
	name := ""
	for k, l := range s.join(newInventory()) {
		uplink := Flavour(s.ports[k].Flavour) == FlavourPhysical
		if k.dev == h && (name == "" || uplink) {
			name = l.Name
		}
	}
	if name == "" {
		return // ask when there is one
	}
	if d, err := c.old.DriverName(name); err == nil {
		s.drivers[h] = d
	} else {
		s.drivers[h] = ""
		s.problems = append(s.problems, failPort("ETHTOOL_GDRVINFO", 0, name, err))
	}
}

func itoa(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
