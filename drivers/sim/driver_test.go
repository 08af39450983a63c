package simdrv_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/shunt-offload/shunt/drivers/sim"
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/hwiftest"
	"github.com/shunt-offload/shunt/sim"
)

func named(name string, names ...string) hwif.OpenOptions {
	return hwif.OpenOptions{Ports: names, Settings: map[string]string{simdrv.SettingName: name}}
}

func TestOpenRefuses(t *testing.T) {
	drv := simdrv.New(sim.New(sim.Options{Name: "card", Ports: ports(), MaxRules: 16}))
	size := named("card")
	size.MaxRules = 17
	for _, tc := range []struct {
		opts hwif.OpenOptions
		kind hwif.Kind
		says string // names the thing and what mends it
	}{
		{named("other"), hwif.KindGone, `no card is named "other"; there are: card`},
		{named("card", "eth7"), hwif.KindGone, "eth7: gone: ports (no such port; there are: wan0, lan0, lan1)"},
		{named("card", "lan0", "lan0"), hwif.KindInvalid, "named twice"},
		{size, hwif.KindInvalid, "has 16 and cannot have 17"},
		{hwif.OpenOptions{Settings: map[string]string{"speed": "fast"}}, hwif.KindInvalid, `speed (unknown setting; the driver knows "name")`},
		{hwif.OpenOptions{}, hwif.KindInvalid, "a card needs ports"},
		{hwif.OpenOptions{Ports: []string{"a", "a"}}, hwif.KindInvalid, "named twice"},
		{hwif.OpenOptions{Ports: []string{"a"}, MaxRules: -1}, hwif.KindInvalid, "negative"},
	} {
		dev, err := drv.Open(t.Context(), tc.opts)
		if err == nil {
			t.Errorf("%+v: opened", tc.opts)
			_ = dev.Close(true)
			continue
		}
		if hwif.KindOf(err) != tc.kind || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%v, want %s with %q", err, tc.kind, tc.says)
		}
	}
	dev, err := drv.Open(t.Context(), named("card"))
	if err != nil {
		t.Fatalf("after all refusals: %v", err)
	}
	if _, err := drv.Open(t.Context(), named("card")); hwif.KindOf(err) != hwif.KindBusy {
		t.Errorf("opened twice: %v", err)
	}
	_ = dev.Close(false)
	again, err := drv.Open(t.Context(), named("card"))
	if err != nil {
		t.Fatalf("after Close: %v", err)
	}
	_ = again.Close(true)
}

// TestForeignPort: a device takes rules on its own ports only, though the card has
// more.
func TestForeignPort(t *testing.T) {
	card := sim.New(sim.Options{Name: "card", Ports: ports()})
	dev, err := simdrv.New(card).Open(t.Context(), named("card", "wan0", "lan0"))
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close(true)
	f := hwiftest.Flow{Family: hwif.IPv4, Proto: hwif.ProtoTCP, In: ports()[0], Out: ports()[2]}
	results := make([]hwif.Result, 1)
	dev.Apply(t.Context(), []hwif.Op{{Rule: f.Rule(hwif.NewCookie(1, 0))}}, results)
	if err := results[0].Err; hwif.KindOf(err) != hwif.KindGone || !strings.Contains(err.Error(), "port 9") {
		t.Errorf("%v, want gone, naming port 9", err)
	}
	if got, _ := dev.Ports(t.Context()); len(got) != 2 {
		t.Errorf("ports %+v", got)
	}
}

// TestSlowCard: an operation is answered when the clock has moved, or when the
// caller gives up; then nothing was done.
func TestSlowCard(t *testing.T) {
	card := sim.New(sim.Options{Name: "card", Ports: ports()})
	card.SetFaults(sim.Faults{Slow: time.Minute})
	dev, err := simdrv.New(card).Open(t.Context(), named("card"))
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close(true)
	f := hwiftest.Flow{Family: hwif.IPv4, Proto: hwif.ProtoTCP, In: ports()[0], Out: ports()[1]}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	results := make([]hwif.Result, 1)
	dev.Apply(ctx, []hwif.Op{{Rule: f.Rule(hwif.NewCookie(1, 0))}}, results)
	if err := results[0].Err; !errors.Is(err, hwif.ErrBusy) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want busy for the deadline", err)
	}
	if n := card.Stats().Rules; n != 0 {
		t.Errorf("%d rules after nothing was done", n)
	}
}
