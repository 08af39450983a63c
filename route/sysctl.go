package route

import (
	"bytes"
	"os"
	"strconv"
	"strings"

	"github.com/shunt-offload/shunt/hwif/flow"
)

// multipathSysctls are the settings by which the kernel chooses between the legs of a
// route (fib_multipath_hash, rt6_multipath_hash, fib_select_multipath). No notification
// tells of them. One that the kernel does not have is 0.
type multipathSysctls struct {
	policy4  uint32 // net.ipv4.fib_multipath_hash_policy
	fields4  uint32 // net.ipv4.fib_multipath_hash_fields
	useNeigh uint32 // net.ipv4.fib_multipath_use_neigh
	seed     uint32 // net.ipv4.fib_multipath_hash_seed, of both families (Linux 6.11); 0 is a random one
	policy6  uint32 // net.ipv6.fib_multipath_hash_policy
	fields6  uint32 // net.ipv6.fib_multipath_hash_fields
}

// sysctlNames are in the order of multipathSysctls.values.
var sysctlNames = [...]string{
	"ipv4/fib_multipath_hash_policy", "ipv4/fib_multipath_hash_fields", "ipv4/fib_multipath_use_neigh",
	"ipv4/fib_multipath_hash_seed", "ipv6/fib_multipath_hash_policy", "ipv6/fib_multipath_hash_fields",
}

func (m *multipathSysctls) values() [len(sysctlNames)]*uint32 {
	return [...]*uint32{&m.policy4, &m.fields4, &m.useNeigh, &m.seed, &m.policy6, &m.fields6}
}

// difference names the first setting that is another in b, empty when none is.
func (m multipathSysctls) difference(b multipathSysctls) string {
	now := b.values()
	for i, v := range m.values() {
		if *v != *now[i] {
			return "net." + strings.ReplaceAll(sysctlNames[i], "/", ".")
		}
	}
	return ""
}

// sysctlFiles are those of one network namespace, nil for what it does not have. A
// file that is open stays that of its namespace, whichever thread reads it; a
// directory does not: /proc/sys/net leads into the reader's (net_ctl_header_lookup).
// They keep no namespace alive: once it has gone there is nothing to read.
type sysctlFiles [len(sysctlNames)]*os.File

// openSysctls opens those of the calling thread's namespace.
func openSysctls() *sysctlFiles {
	var s sysctlFiles
	for i, name := range sysctlNames {
		s[i], _ = os.Open("/proc/sys/net/" + name) // nil when it is not there
	}
	return &s
}

func (s *sysctlFiles) read() (m multipathSysctls) {
	for i, v := range m.values() {
		if s[i] == nil {
			continue
		}
		var b [16]byte
		n, _ := s[i].ReadAt(b[:], 0) // io.EOF with what is there
		u, _ := strconv.ParseUint(string(bytes.TrimSpace(b[:n])), 10, 32)
		*v = uint32(u)
	}
	return m
}

func (s *sysctlFiles) close() {
	for _, f := range s {
		if f != nil {
			f.Close()
		}
	}
}

// readMultipath takes out the flows of which a packet was seen choosing a leg, when
// the next packet may choose another.
func (c *core) readMultipath() {
	if c.again.multipath == nil {
		return
	}
	old := c.view.multipath
	c.view.multipath, c.again.read = c.again.multipath(), c.now
	if name := old.difference(c.view.multipath); name != "" {
		c.ask.forget()
		c.dirty(c.index.chosen(), flow.CauseRouteChanged, name+" changed", c.now)
		c.sweepAll(name + " changed") // and those that it kept out
	}
}

// byLabel reports whether an IPv6 packet's flow label is among what the kernel chooses a
// leg by (rt6_multipath_hash): a sender may change it from packet to packet, as Linux
// does after a loss to get off a bad way.
func (m *multipathSysctls) byLabel() bool {
	const byPorts, byFields = 1, 3 // fib_multipath_hash_policy
	const label = 1 << 3           // FIB_MULTIPATH_HASH_FIELD_FLOWLABEL (include/net/ip_fib.h)
	return m.policy6 != byPorts && (m.policy6 != byFields || m.fields6&label != 0)
}
