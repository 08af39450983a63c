//go:build (netns || vm) && race

package e2e

// raceEnabled: with go test -race, the programs are built with -race, too.
const raceEnabled = true
