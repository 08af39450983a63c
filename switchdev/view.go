package switchdev

import (
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/switchdev/wire"
)

// view is what a Watcher knows, and how notifications change it. Interfaces come
// from notifications alone, whose order is the kernel's; of devlink only health
// is taken from them, since ports and modes have sides that no notification
// tells: they put what is known in doubt, and it is read anew.
type view struct {
	s     *sight
	inv   *Inventory // built from s when it was last not dirty
	dirty bool       // s has changed
	doubt bool       // devlink is to be read anew
}

// link applies a message of RTNLGRP_LINK. lostPort says that a port's interface
// is gone.
func (v *view) link(m netlink.Message) (lostPort bool, err error) {
	gone := m.Header.Type == unix.RTM_DELLINK
	if !gone && m.Header.Type != unix.RTM_NEWLINK {
		return false, nil
	}
	l, ok, err := wire.ParseLink(m.Data, gone)
	if err != nil && l.Index != 0 {
		// An interface that can't be read is not there: nothing is put into hardware
		// on a guess.
		v.s.problem("interface %d: %w", l.Index, err)
		err, ok, gone = nil, true, true
	}
	if err != nil || !ok {
		return false, err
	}
	i := l.Index
	_, isPort := v.inv.ports[i]
	was, known := v.s.links[i]
	if gone {
		if !known {
			return false, nil
		}
		v.s.forget(i)
		v.dirty = true
		return isPort, nil
	}
	if l.Event == wire.EventFeatures && isPort {
		v.s.ask(i)
		v.dirty = true
	}
	l.Event = 0
	if known && was == l {
		return false, nil
	}
	v.s.links[i] = l
	v.dirty = true
	// A new interface on a card that devlink knows is a port, or will be one.
	if !known && !isPort && v.ofCard(&l) {
		v.doubt = true
	}
	return false, nil
}

// ofCard reports whether an interface says that it belongs to a devlink device.
func (v *view) ofCard(l *Link) bool {
	if l.Devlink != (Handle{}) {
		return true
	}
	_, ok := v.s.devs[Handle{Bus: l.ParentBus, Name: l.ParentDev}]
	return ok || l.SwitchID != ""
}

const genlHeader = 4 // struct genlmsghdr

// devlink applies a message of devlink's group "config".
func (v *view) devlink(m netlink.Message) (lostPort bool, err error) {
	if len(m.Data) < genlHeader {
		return false, &wire.Error{Msg: "devlink notification", Attr: "struct genlmsghdr", Text: "cut short"}
	}
	body := m.Data[genlHeader:]
	switch m.Data[0] {
	case unix.DEVLINK_CMD_HEALTH_REPORTER_RECOVER:
		if h, r, err := wire.ParseReporter(body); err == nil {
			v.s.report(h, r)
			v.dirty = true
		}
		v.doubt = true // a recovery may have changed more than its counters
	case unix.DEVLINK_CMD_NEW, unix.DEVLINK_CMD_DEL, unix.DEVLINK_CMD_PORT_NEW, unix.DEVLINK_CMD_PORT_DEL,
		unix.DEVLINK_CMD_ESWITCH_SET, unix.DEVLINK_CMD_RELOAD, unix.DEVLINK_CMD_FLASH_UPDATE_END:
		v.doubt = true
	}
	return false, nil
}

// devices takes over what was read of devlink.
func (v *view) devices(s *sight) {
	v.s.ports, v.s.problems = s.ports, s.problems
	for h, d := range s.devs {
		if d.noEswitch || d.eswitch.HasMode {
			continue
		}
		if old, ok := v.s.devs[h]; ok { // busy: what it said before holds until it speaks
			d.eswitch, d.noEswitch = old.eswitch, old.noEswitch
			s.devs[h] = d
		}
	}
	v.s.devs = s.devs
	for h := range v.s.drivers {
		if _, ok := s.devs[h]; !ok {
			delete(v.s.drivers, h)
		}
	}
	v.dirty = true
}
