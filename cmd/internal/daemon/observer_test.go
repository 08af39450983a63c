package daemon

import (
	"testing"

	"github.com/shunt-offload/shunt/cmd/internal/config"
)

// TestNoObserver: keys that have no effect without an observer are named.
func TestNoObserver(t *testing.T) {
	log := new(output)
	d := &daemon{cfg: config.Default()}
	d.log = newLog(d.cfg, log, &d.level)
	if err := d.thresholds(d.cfg, d.cfg); err != nil || log.String() != "" {
		t.Fatalf("the defaults: %v, said %q", err, log.String())
	}
	cfg := *d.cfg
	cfg.Policy.Untracked, cfg.Policy.DropPackets = "on", 100
	if err := d.thresholds(d.cfg, &cfg); err != nil {
		t.Fatal(err)
	}
	log.await(t, "has no effect: no observer sees packets\" key=policy.untracked")
	log.await(t, "has no effect: no observer sees packets\" key=policy.drop_packets")
}
