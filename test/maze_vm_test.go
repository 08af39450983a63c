//go:build vm

package e2e

import (
	"testing"
	"time"

	"github.com/shunt-offload/shunt/sim/lab/maze"
	"github.com/shunt-offload/shunt/sim/simnic"
)

// TestCardRandomNetwork: the same through a card, by a kernel that has routing domains
// (VRF) too. An emulated machine takes its time.
func TestCardRandomNetwork(t *testing.T) {
	roam(t, journey{driver: "mlx5", steps: 60, settle: 800 * time.Millisecond,
		maze: maze.Options{NIC: &simnic.Options{ID: uint(cards.Add(1)), Profile: "mlx5"}, Linger: 150 * time.Millisecond}})
}
