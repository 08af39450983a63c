//go:build (netns || vm) && !race

package e2e

const raceEnabled = false
