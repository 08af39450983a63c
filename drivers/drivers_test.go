package drivers

import (
	"strings"
	"testing"
)

// TestList: each driver is found by its own name, and no two share one.
func TestList(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range All() {
		if seen[d.Name()] {
			t.Errorf("two drivers are called %q", d.Name())
		}
		seen[d.Name()] = true
		got, err := ByName(d.Name())
		if err != nil || got.Name() != d.Name() {
			t.Errorf("ByName(%q): %v, %v", d.Name(), got, err)
		}
	}
	_, err := ByName("mlx9")
	if err == nil {
		t.Fatal("a driver that does not exist was found")
	}
	for name := range seen {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("the refusal does not name %s: %v", name, err)
		}
	}
}
