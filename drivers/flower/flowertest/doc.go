// Package flowertest puts a flower driver before an emulated card (sim/simnic), for
// the tests of the drivers in a guest that has the module.
package flowertest
