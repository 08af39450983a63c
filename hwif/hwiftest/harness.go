package hwiftest

import (
	"testing"
	"time"

	"github.com/shunt-offload/shunt/hwif"
)

// Harness is a device under test with the wires to it. Run asks for a new one
// per subtest, so that the functions may keep the subtest's t; what it holds is
// released by t.Cleanup. Members marked optional may be nil or zero.
//
// Every function is called by one goroutine at a time, except that Inject may run
// beside calls to the device.
type Harness struct {
	// Open opens a device with an empty table over Ports. It is called once,
	// and fails the test when there is no device. The suite closes the device,
	// with Close(true) at the latest when the subtest ends.
	Open func(opts Options) hwif.Device

	// Reopen opens the same table again after a Close(false), as a new daemon
	// would. It is nil exactly when Caps.Persistent is false.
	Reopen func(opts Options) hwif.Device

	// Ports are the device's ports, at least two: the suite's frames enter by the
	// first and leave by the second. Each has a MAC, and an MTU of 1500 or more.
	Ports []hwif.Port

	// MaxRules is the table size to ask for when a subtest fills the table;
	// 64 when zero. A device that cannot be told its size says so in
	// Caps.MaxRules.
	MaxRules int

	// Inject lets one frame enter by a port and says what became of it. It must
	// work with no device open as well: then every frame is the kernel's.
	Inject func(in hwif.Ifindex, frame []byte) Out

	// MinFrame is the shortest frame that Inject can carry, in bytes; shorter
	// ones are left out of the suite.
	MinFrame int

	// Hold is how long the device leaves a TCP connection to the kernel after a
	// SYN, FIN or RST of it, 0 for not at all.
	Hold time.Duration

	// Settle returns when the counters tell of every frame injected so far;
	// optional.
	Settle func()

	// Vanish makes a port disappear, as an unplugged device does; optional.
	Vanish func(port hwif.Ifindex)
}

// Options are what the suite asks of a device.
type Options struct {
	MaxRules int // hwif.OpenOptions.MaxRules; 0 is the driver's default
}

// Verdict is what became of a frame.
type Verdict uint8

const (
	ToKernel Verdict = iota
	Forwarded
	Dropped
)

func (v Verdict) String() string {
	switch v {
	case ToKernel:
		return "to kernel"
	case Forwarded:
		return "forwarded"
	case Dropped:
		return "dropped"
	}
	return "unknown verdict"
}

// Out is what came out of the device for one frame.
type Out struct {
	Verdict Verdict
	Port    hwif.Ifindex // egress port, when Forwarded
	// Frame is what left, when Forwarded. ToKernel it is what the kernel gets, nil
	// when the harness cannot see that.
	Frame []byte
}

// Run holds a device against the whole suite.
func Run(t *testing.T, harness func(t *testing.T) *Harness) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(open(t, harness(t))) })
	}
}

// cases is the suite; names are stable.
var cases = []struct {
	name string
	run  func(b *bench)
}{
	{"caps", testCaps},
	{"ports", testPorts},
	{"round trip", testRoundTrip},
	{"exist", testExist},
	{"wrong cookie", testWrongCookie},
	{"remove absent", testRemoveAbsent},
	{"mixed batch", testMixedBatch},
	{"no such port", testNoSuchPort},
	{"unsupported by name", testUnsupported},
	{"unknown bits", testUnknownBits},
	{"partial match", testPartialMatch},
	{"cancelled", testCancelled},
	{"table full", testFull},
	{"counters", testCounters},
	{"final counter", testFinal},
	{"removed is gone", testRemovedIsGone},
	{"drop", testDrop},
	{"close flush", testCloseFlush},
	{"reopen", testReopen},
	{"vanish", testVanish},
	{"concurrent", testConcurrent},
	{"forward", testForward},
	{"forward variants", testVariants},
	{"udp zero checksum", testZeroChecksum},
	{"bad checksum", testBadChecksum},
	{"padding", testPadding},
	{"to kernel", testToKernel},
	{"truncated", testTruncated},
}
