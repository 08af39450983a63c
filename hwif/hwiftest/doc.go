// Package hwiftest is the conformance suite that every hwif.Device passes: sim,
// xdp, and real cards alike. It holds a device against the words of hwif/driver.go
// and against the promise that a forwarded frame leaves exactly as the kernel
// would have sent it.
//
// A driver's test gives Run a function that makes a Harness, and nothing else:
//
//	func TestConformance(t *testing.T) {
//		hwiftest.Run(t, func(t *testing.T) *hwiftest.Harness { … })
//	}
//
// The suite asks Caps what the device can do. A subtest that needs more first
// proves that the device refuses such a rule by name, and skips only then.
//
// What is forwarded is compared with frames built from scratch by package frame. For
// every frame out of the ordinary "to the kernel" is right and a wrong frame
// never is; plain frames must be forwarded.
//
// Names of subtests are stable: reports may refer to them.
package hwiftest
