//go:build vm

package guest_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/shunt-offload/shunt/sim/vm/guest"
)

// TestStartOVS: frames between two veth pairs pass through a bridge of the switch's,
// and nothing stays.
func TestStartOVS(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	began := time.Now()
	o, err := guest.StartOVS(ctx, guest.OVSOptions{Offload: true, Policy: "none"})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("up after %s", time.Since(began).Round(time.Millisecond))
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat("/sys/class/net/ovs-system"); err == nil {
			t.Error("the datapath is still in the kernel")
		}
	})
	if out, err := o.Vsctl(ctx, "get", "Open_vSwitch", ".", "other_config:hw-offload"); err != nil || strings.TrimSpace(out) != `"true"` {
		t.Errorf("hw-offload is %q, %v", out, err)
	}
	sh(t, `ip netns add ovs-a; ip netns add ovs-b
		for n in a b; do ip link add port-$n type veth peer name eth0 netns ovs-$n; ip link set port-$n up; ip -n ovs-$n link set eth0 up; done
		ip -n ovs-a addr add 192.0.2.1/24 dev eth0; ip -n ovs-b addr add 192.0.2.2/24 dev eth0`)
	t.Cleanup(func() { sh(t, "ip netns del ovs-a; ip netns del ovs-b") })
	if _, err := o.Vsctl(ctx, "add-br", "br0", "--", "add-port", "br0", "port-a", "--", "add-port", "br0", "port-b"); err != nil {
		t.Fatal(err)
	}
	sh(t, "ip netns exec ovs-a ping -c 3 -i 0.2 -W 5 192.0.2.2")
	flows, err := o.Appctl(ctx, "dpctl/dump-flows")
	if err != nil || !strings.Contains(flows, "eth_type(0x0800)") {
		t.Errorf("the datapath's flows: %q, %v", flows, err)
	}
}

func sh(t *testing.T, script string) {
	t.Helper()
	if out, err := exec.Command("sh", "-ec", script).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
}
