//go:build vm

package e2e

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/shunt-offload/shunt/sim/lab/maze"
	"github.com/shunt-offload/shunt/sim/simnic"
)

// TestCardRandomNetwork: the same through a card, by a kernel that has routing domains
// (VRF) too, and a bond in the place of the bridge on the older one, or where BOND is set.
// An emulated machine takes its time.
func TestCardRandomNetwork(t *testing.T) {
	bond := os.Getenv("BOND") != "" || strings.HasPrefix(os.Getenv("SHUNT_VM_RELEASE"), "6.1.")
	roam(t, journey{driver: "mlx5", steps: 40, settle: 800 * time.Millisecond,
		maze: maze.Options{NIC: &simnic.Options{ID: uint(cards.Add(1)), Profile: "mlx5"}, Bond: bond, Linger: 150 * time.Millisecond}})
}
