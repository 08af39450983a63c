//go:build vm

package mlx5_test

import (
	"testing"

	"github.com/shunt-offload/shunt/drivers/flower/flowertest"
	"github.com/shunt-offload/shunt/drivers/mlx5"
	"github.com/shunt-offload/shunt/hwif/hwiftest"
	"github.com/shunt-offload/shunt/sim/simnic"
)

func TestConformance(t *testing.T) {
	hwiftest.Run(t, func(t *testing.T) *hwiftest.Harness {
		return flowertest.Harness(t, mlx5.New(), simnic.Options{Profile: "mlx5"})
	})
}
