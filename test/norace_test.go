//go:build netns && !race

package e2e

const raceEnabled = false
