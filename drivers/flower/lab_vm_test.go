//go:build vm

package flower_test

import (
	"testing"

	"github.com/shunt-offload/shunt/drivers/flower"
	"github.com/shunt-offload/shunt/drivers/flower/flowertest"
	"github.com/shunt-offload/shunt/hwif/hwiftest"
	"github.com/shunt-offload/shunt/sim/simnic"
)

func TestConformance(t *testing.T) {
	hwiftest.Run(t, func(t *testing.T) *hwiftest.Harness {
		return flowertest.Harness(t, flower.New(flower.Generic), simnic.Options{Profile: "flower"})
	})
}
