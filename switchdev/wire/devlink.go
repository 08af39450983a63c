package wire

import (
	"golang.org/x/sys/unix"
)

// Dev is DEVLINK_CMD_NEW, and the answer to DEVLINK_CMD_GET.
type Dev struct {
	Handle
	ReloadFailed bool   // DEVLINK_ATTR_RELOAD_FAILED
	Reloads      uint64 // sum of DEVLINK_ATTR_RELOAD_STATS_VALUE, remote ones included
}

// parse walks a devlink message, whose handle it takes and demands.
func parse(msg string, b []byte, h *Handle, each func(w *walk)) error {
	w := walk{msg: msg, b: b}
	for w.next() {
		h.take(&w)
		each(&w)
	}
	if w.err == nil && !h.whole() {
		w.err = &Error{Msg: msg, Attr: "DEVLINK_ATTR_BUS_NAME, DEVLINK_ATTR_DEV_NAME", Text: "missing"}
	}
	return w.err
}

// ParseDev reads a device. DEVLINK_CMD_DEL needs no more than the handle.
func ParseDev(b []byte) (d Dev, err error) {
	err = parse("DEVLINK_CMD_NEW", b, &d.Handle, func(w *walk) {
		switch w.typ {
		case unix.DEVLINK_ATTR_RELOAD_FAILED:
			d.ReloadFailed = w.u8() != 0
		case unix.DEVLINK_ATTR_DEV_STATS:
			d.Reloads = 0
			w.nest(d.stats)
		}
	})
	return d, err
}

// stats goes down to the counters, which lie at the same depth in both nests:
// stats, action, action's stats, entry, value.
func (d *Dev) stats(w *walk) {
	switch w.typ {
	case unix.DEVLINK_ATTR_RELOAD_STATS, unix.DEVLINK_ATTR_REMOTE_RELOAD_STATS,
		unix.DEVLINK_ATTR_RELOAD_ACTION_INFO, unix.DEVLINK_ATTR_RELOAD_ACTION_STATS,
		unix.DEVLINK_ATTR_RELOAD_STATS_ENTRY:
		w.nest(d.stats)
	case unix.DEVLINK_ATTR_RELOAD_STATS_VALUE:
		d.Reloads += uint64(w.u32())
	}
}

// Eswitch is the answer to DEVLINK_CMD_ESWITCH_GET.
type Eswitch struct {
	Handle
	Mode, Inline, Encap          uint16
	HasMode, HasInline, HasEncap bool
}

// ParseEswitch reads the modes of an eswitch.
func ParseEswitch(b []byte) (e Eswitch, err error) {
	err = parse("DEVLINK_CMD_ESWITCH_GET", b, &e.Handle, func(w *walk) {
		switch w.typ {
		case unix.DEVLINK_ATTR_ESWITCH_MODE:
			e.Mode, e.HasMode = w.u16(), true
		case unix.DEVLINK_ATTR_ESWITCH_INLINE_MODE:
			e.Inline, e.HasInline = uint16(w.u8()), true
		case unix.DEVLINK_ATTR_ESWITCH_ENCAP_MODE:
			e.Encap, e.HasEncap = uint16(w.u8()), true
		}
	})
	return e, err
}

// Info is the answer to DEVLINK_CMD_INFO_GET.
type Info struct {
	Handle
	Driver  string
	Serial  string
	Fixed   map[string]string // version name to value: "board.id"
	Running map[string]string // "fw.version"
}

// ParseInfo reads driver, serial number and versions.
func ParseInfo(b []byte) (i Info, err error) {
	i.Fixed, i.Running = map[string]string{}, map[string]string{}
	err = parse("DEVLINK_CMD_INFO_GET", b, &i.Handle, func(w *walk) {
		switch w.typ {
		case unix.DEVLINK_ATTR_INFO_DRIVER_NAME:
			i.Driver = w.str()
		case unix.DEVLINK_ATTR_INFO_SERIAL_NUMBER:
			i.Serial = w.str()
		case unix.DEVLINK_ATTR_INFO_VERSION_FIXED:
			version(w, i.Fixed)
		case unix.DEVLINK_ATTR_INFO_VERSION_RUNNING:
			version(w, i.Running)
		}
	})
	return i, err
}

func version(w *walk, into map[string]string) {
	var name, value string
	w.nest(func(w *walk) {
		switch w.typ {
		case unix.DEVLINK_ATTR_INFO_VERSION_NAME:
			name = w.str()
		case unix.DEVLINK_ATTR_INFO_VERSION_VALUE:
			value = w.str()
		}
	})
	if name != "" {
		into[name] = value
	}
}
