package wire

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// CMode is when a parameter's value takes effect.
type CMode uint8

const (
	Runtime    CMode = 0 // at once
	DriverInit CMode = 1 // at the next devlink reload
	Permanent  CMode = 2 // at the next reset of the device
)

func (m CMode) String() string {
	switch m {
	case Runtime:
		return "runtime"
	case DriverInit:
		return "driverinit"
	case Permanent:
		return "permanent"
	}
	return "cmode " + strconv.Itoa(int(m))
}

// Param is a device parameter: "fdb_large_groups", "flow_steering_mode".
type Param struct {
	Name    string
	Generic bool // common to drivers, not one driver's own
	Values  []ParamValue
}

// ParamValue is a value under one configuration mode.
type ParamValue struct {
	Mode   CMode
	Number uint64 // of numeric parameters; 1 of a flag that is set
	Text   string // of string parameters; of others the number as text
}

// Types of DEVLINK_ATTR_PARAM_TYPE are the kernel's own NLA_* numbers.
const (
	nlaU8     = 1
	nlaU16    = 2
	nlaU32    = 3
	nlaU64    = 4
	nlaString = 5
	nlaFlag   = 6
)

// ParseParam reads the answer to DEVLINK_CMD_PARAM_GET.
func ParseParam(b []byte) (h Handle, p Param, err error) {
	const msg = "DEVLINK_CMD_PARAM_GET"
	err = parse(msg, b, &h, func(w *walk) {
		if w.typ == unix.DEVLINK_ATTR_PARAM {
			p.take(w)
		}
	})
	if err == nil && p.Name == "" {
		err = &Error{Msg: msg, Attr: "DEVLINK_ATTR_PARAM_NAME", Text: "missing"}
	}
	return h, p, err
}

func (p *Param) take(w *walk) {
	var typ uint8
	var list []byte
	w.nest(func(w *walk) {
		switch w.typ {
		case unix.DEVLINK_ATTR_PARAM_NAME:
			p.Name = w.str()
		case unix.DEVLINK_ATTR_PARAM_GENERIC:
			p.Generic = true
		case unix.DEVLINK_ATTR_PARAM_TYPE:
			typ = w.u8()
		case unix.DEVLINK_ATTR_PARAM_VALUES_LIST:
			list = w.v
		}
	})
	in := walk{msg: w.msg, b: list} // after the type, which may follow it
	for in.next() {
		if in.typ == unix.DEVLINK_ATTR_PARAM_VALUE {
			p.Values = append(p.Values, value(&in, typ))
		}
	}
	if w.err == nil {
		w.err = in.err
	}
}

func value(w *walk, typ uint8) (v ParamValue) {
	// A flag that is not set has no data at all.
	if typ == nlaFlag {
		v.Text = "0"
	}
	w.nest(func(w *walk) {
		switch w.typ {
		case unix.DEVLINK_ATTR_PARAM_VALUE_CMODE:
			v.Mode = CMode(w.u8())
		case unix.DEVLINK_ATTR_PARAM_VALUE_DATA:
			switch typ {
			case nlaU8:
				v.Number = uint64(w.u8())
			case nlaU16:
				v.Number = uint64(w.u16())
			case nlaU32:
				v.Number = uint64(w.u32())
			case nlaU64:
				v.Number = w.u64()
			case nlaFlag:
				v.Number = 1
			case nlaString:
				v.Text = w.str()
				return
			default:
				w.fail("parameter type %d is not known", typ)
			}
			v.Text = strconv.FormatUint(v.Number, 10)
		}
	})
	return v
}
