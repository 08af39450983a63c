// Package simdrv is the driver of the simulated card: hwif.Driver and hwif.Device
// around sim.NIC. What it adds is what every driver adds: opening by port names,
// answers one per operation, and errors in hwif's words.
//
// A card that is named in Settings is the test's own and outlives the device, as a
// real card outlives the daemon. Without a name, each Open makes a card that ends
// with its device.
package simdrv
