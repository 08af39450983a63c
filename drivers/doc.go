// Package drivers is the list of drivers, one line each. To add one, write its
// package and name it here; nothing registers itself.
//
// A driver gets what it needs from hwif.OpenOptions and answers with an
// hwif.Device. Callers own what Open returns and close it.
package drivers
