package flower

import "github.com/shunt-offload/shunt/hwif"

// Cookies of what is ours and no flow's: hwif.NewCookie's form, with another
// word where the direction stands. Cookie.Ours is false for them.
const (
	roleGuard = 2
	roleProbe = 3
)

func roleCookie(role byte, n uint8) hwif.Cookie {
	c := hwif.NewCookie(uint64(n), 0)
	c[5] = role
	return c
}

func roleOf(c hwif.Cookie) byte {
	role := c[5]
	c[5] = 0
	if !c.Ours() {
		return 255
	}
	return role
}

// owned reports whether a filter with this cookie is any of ours.
func owned(c hwif.Cookie) bool { return roleOf(c) <= roleProbe }
