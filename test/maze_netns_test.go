//go:build netns

package e2e

import (
	"testing"
	"time"
)

// TestRandomNetwork: the network changes at random, and after each change every
// flow's packet leaves with the NIC as it leaves without. SEED and STEPS choose
// the run, SETTLE the milliseconds between a change and the look.
func TestRandomNetwork(t *testing.T) {
	roam(t, journey{steps: 150, settle: 150 * time.Millisecond})
}
