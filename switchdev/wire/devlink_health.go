package wire

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Health is a reporter's state.
type Health uint8

const (
	HealthUnknown Health = iota // not said
	Healthy                     // DEVLINK_HEALTH_REPORTER_STATE_HEALTHY
	HealthError                 // DEVLINK_HEALTH_REPORTER_STATE_ERROR: reported, not recovered
)

func (h Health) String() string {
	switch h {
	case Healthy:
		return "healthy"
	case HealthError:
		return "error"
	}
	return "unknown"
}

// Reporter is DEVLINK_ATTR_HEALTH_REPORTER.
type Reporter struct {
	Name       string
	Port       uint32 // devlink port index
	OfPort     bool   // it is a port's reporter, and Port says which
	State      Health
	Errors     uint64 // reports so far
	Recoveries uint64 // successful recoveries so far
}

// Key tells a device's reporters apart.
func (r Reporter) Key() string {
	if r.OfPort {
		return fmt.Sprintf("%s of port %d", r.Name, r.Port)
	}
	return r.Name
}

// ParseReporter reads the answer to DEVLINK_CMD_HEALTH_REPORTER_GET, and the
// notification of the same form that is sent as DEVLINK_CMD_HEALTH_REPORTER_RECOVER.
func ParseReporter(b []byte) (h Handle, r Reporter, err error) {
	const msg = "DEVLINK_CMD_HEALTH_REPORTER_RECOVER"
	err = parse(msg, b, &h, func(w *walk) {
		switch w.typ {
		case unix.DEVLINK_ATTR_PORT_INDEX:
			r.Port, r.OfPort = w.u32(), true
		case unix.DEVLINK_ATTR_HEALTH_REPORTER:
			w.nest(r.take)
		}
	})
	if err == nil && r.Name == "" {
		err = &Error{Msg: msg, Attr: "DEVLINK_ATTR_HEALTH_REPORTER_NAME", Text: "missing"}
	}
	return h, r, err
}

func (r *Reporter) take(w *walk) {
	switch w.typ {
	case unix.DEVLINK_ATTR_HEALTH_REPORTER_NAME:
		r.Name = w.str()
	case unix.DEVLINK_ATTR_HEALTH_REPORTER_STATE:
		switch w.u8() {
		case 0:
			r.State = Healthy
		case 1:
			r.State = HealthError
		}
	case unix.DEVLINK_ATTR_HEALTH_REPORTER_ERR_COUNT:
		r.Errors = w.u64()
	case unix.DEVLINK_ATTR_HEALTH_REPORTER_RECOVER_COUNT:
		r.Recoveries = w.u64()
	}
}
