package xdp

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/shunt-offload/shunt/hwif"
)

func TestSettings(t *testing.T) {
	two := []string{"a", "b"}
	for _, c := range []struct {
		what  string
		o     hwif.OpenOptions
		field string
	}{
		{"unknown setting", hwif.OpenOptions{Ports: two, Settings: map[string]string{"queue": "1"}}, "queue"},
		{"unknown mode", hwif.OpenOptions{Ports: two, Settings: map[string]string{"mode": "fast"}}, "mode"},
		{"empty pin", hwif.OpenOptions{Ports: two, Settings: map[string]string{"pin": ""}}, "pin"},
		{"no ports", hwif.OpenOptions{}, "ports"},
		{"port twice", hwif.OpenOptions{Ports: []string{"a", "a"}}, "ports"},
		{"too many ports", hwif.OpenOptions{Ports: make([]string, maxPorts+1)}, "ports"},
		{"negative table", hwif.OpenOptions{Ports: two, MaxRules: -1}, "max_rules"},
		{"huge table", hwif.OpenOptions{Ports: two, MaxRules: 1 << 30}, "max_rules"},
	} {
		_, opened := Driver{}.Open(context.Background(), c.o)
		for _, err := range []error{opened, Driver{}.Check(c.o)} {
			var e *hwif.Error
			if !errors.As(err, &e) || e.Kind != hwif.KindInvalid || e.Field != c.field || e.Text == "" {
				t.Errorf("%s: %v, want an invalid %s with a text", c.what, err, c.field)
			}
		}
	}
	for _, pin := range []string{t.TempDir(), "/nowhere/at/all"} {
		err := Driver{}.Check(hwif.OpenOptions{Ports: two, Settings: map[string]string{"pin": pin}})
		var e *hwif.Error
		if !errors.As(err, &e) || e.Kind != hwif.KindInvalid || e.Field != "pin" || !strings.Contains(e.Text, "mount -t bpf") {
			t.Errorf("pin %s: %v, want an invalid pin and how to mount a bpffs", pin, err)
		}
	}
	if err := (Driver{}).Check(hwif.OpenOptions{Ports: two, Settings: map[string]string{"mode": "generic"}}); err != nil {
		t.Errorf("what could be opened: %v", err)
	}
	s, err := readSettings(hwif.OpenOptions{Ports: two})
	if err != nil || s.mode != ModeAuto || s.maxRules != defaultRules || s.pin != "" || s.log == nil {
		t.Errorf("defaults: %+v, %v", s, err)
	}
}
