package wire

import (
	"cmp"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Handle is devlink's name of a device: a bus and a name on it.
type Handle struct{ Bus, Name string }

// String is what the devlink program prints and takes: "pci/0000:03:00.0".
func (h Handle) String() string {
	if h == (Handle{}) {
		return ""
	}
	return h.Bus + "/" + h.Name
}

// Compare orders handles as their text.
func (h Handle) Compare(o Handle) int {
	return cmp.Or(strings.Compare(h.Bus, o.Bus), strings.Compare(h.Name, o.Name))
}

// ParseHandle reads "bus/name".
func ParseHandle(s string) (Handle, error) {
	bus, name, ok := strings.Cut(s, "/")
	if !ok || bus == "" || name == "" || strings.ContainsAny(name, "/\x00") || strings.Contains(bus, "\x00") {
		return Handle{}, fmt.Errorf("%q is no devlink handle: want bus/name, such as pci/0000:03:00.0", s)
	}
	return Handle{bus, name}, nil
}

// PutHandle appends the two attributes by which devlink requests name a device.
func PutHandle(b []byte, h Handle) []byte {
	b = PutString(b, unix.DEVLINK_ATTR_BUS_NAME, h.Bus)
	return PutString(b, unix.DEVLINK_ATTR_DEV_NAME, h.Name)
}

// take keeps the handle's attributes.
func (h *Handle) take(w *walk) {
	switch w.typ {
	case unix.DEVLINK_ATTR_BUS_NAME:
		h.Bus = w.str()
	case unix.DEVLINK_ATTR_DEV_NAME:
		h.Name = w.str()
	}
}

// whole reports whether both halves are there.
func (h Handle) whole() bool { return h.Bus != "" && h.Name != "" }
