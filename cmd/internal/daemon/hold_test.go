package daemon

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestHold: a port is one daemon's at a time; a refusal gives back what it took,
// and names who is there.
func TestHold(t *testing.T) {
	mine := fmt.Sprintf("a%d", os.Getpid()%10000)
	free := fmt.Sprintf("b%d", os.Getpid()%10000)
	held, err := hold([]string{mine})
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("nic.ports: %s is in the hands of another shuntd (pid %d)", mine, os.Getpid())
	if got, err := hold([]string{free, mine}); err == nil || got != nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, %v; want %s", got, err, want)
	}
	other, err := hold([]string{free}) // what the refused one had begun with
	if err != nil {
		t.Errorf("after a refusal: %v", err)
	}
	for _, l := range append(held, other...) {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	again, err := hold([]string{free, mine})
	if err != nil {
		t.Fatalf("after its end: %v", err)
	}
	for _, l := range again {
		_ = l.Close()
	}
}
