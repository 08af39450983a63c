//go:build vm

package vm_test

import (
	"os"
	"strings"
	"testing"
)

// TestModules asks for what suites take for granted.
func TestModules(t *testing.T) {
	text, err := os.ReadFile("/proc/modules")
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		have[strings.Fields(line)[0]] = true
	}
	for _, m := range []string{"sch_ingress", "cls_flower", "act_pedit", "act_csum", "act_mirred", "act_vlan", "act_tunnel_key", "act_ct",
		"nf_conntrack_netlink", "nft_chain_nat", "nft_flow_offload", "openvswitch", "8021q", "bonding", "veth", "vrf", "simnic"} {
		if !have[m] {
			t.Errorf("module %s is not loaded", m)
		}
	}
	if _, err := os.Stat("/sys/bus/simnic/new_device"); err != nil {
		t.Error(err)
	}
}
