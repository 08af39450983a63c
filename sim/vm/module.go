package vm

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// modules are what the guest has loaded when anything runs, by name. What they
// depend on comes first by itself, except where depmod cannot know it.
var modules = []string{
	"crc32c_generic", // act_csum's libcrc32c looks for it when it is loaded
	"sch_ingress", "cls_flower", "cls_matchall", "act_gact", "act_mirred", "act_pedit", "act_csum", "act_vlan",
	"act_tunnel_key", "act_police", "act_skbedit", "act_ct",
	"nf_conntrack", "nf_conntrack_netlink", "nf_nat", "nf_tables", "nft_ct", "nft_nat", "nft_masq", "nft_redir", "nft_chain_nat",
	"nft_limit", "nft_log", "nft_reject_inet", "nft_flow_offload", "nf_flow_table", "nf_flow_table_inet", "nf_defrag_ipv4", "nf_defrag_ipv6",
	"8021q", "bonding", "dummy", "veth", "vrf", "macvlan", "vxlan", "geneve", "ip_gre", "bridge", "openvswitch", "nlmon",
}

// loadOrder gives the files of modules and of what they need, under the kernel's
// root, each before whoever needs it. Modules that are built in are left out.
func (k *Kernel) loadOrder(ctx context.Context) ([]string, error) {
	dir := filepath.Join(k.Root, "lib", "modules", k.Release)
	if _, err := os.Stat(filepath.Join(dir, "modules.dep")); err != nil {
		if out, err := exec.CommandContext(ctx, "depmod", "-b", k.Root, k.Release).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("depmod for %s: %w: %s", k.Release, err, bytes.TrimSpace(out))
		}
	}
	dep, err := os.ReadFile(filepath.Join(dir, "modules.dep"))
	if err != nil {
		return nil, err
	}
	builtin, err := os.ReadFile(filepath.Join(dir, "modules.builtin"))
	if err != nil {
		return nil, err
	}
	return order(string(dep), string(builtin), modules)
}

// order resolves names by modules.dep, whose lines are "FILE: DEPENDENCY...".
func order(dep, builtin string, names []string) ([]string, error) {
	needs, files, inside := map[string][]string{}, map[string]string{}, map[string]bool{}
	for line := range strings.Lines(dep) {
		file, rest, ok := strings.Cut(strings.TrimSpace(line), ":")
		if ok {
			needs[file] = strings.Fields(rest)
			files[moduleName(file)] = file
		}
	}
	for line := range strings.Lines(builtin) {
		inside[moduleName(strings.TrimSpace(line))] = true
	}
	var out []string
	done := map[string]bool{}
	var add func(file string)
	add = func(file string) {
		if done[file] {
			return
		}
		done[file] = true
		for _, d := range needs[file] {
			add(d)
		}
		out = append(out, file)
	}
	for _, n := range names {
		file, ok := files[n]
		switch {
		case ok:
			add(file)
		case !inside[n]:
			return nil, fmt.Errorf("the kernel has no module %s", n)
		}
	}
	return out, nil
}

func moduleName(file string) string {
	name, _, _ := strings.Cut(path.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

// plain gives a module's bytes uncompressed.
func plain(ctx context.Context, file string) ([]byte, error) {
	if !strings.HasSuffix(file, ".xz") {
		return os.ReadFile(file)
	}
	out, err := exec.CommandContext(ctx, "xz", "-dc", file).Output()
	if err != nil {
		return nil, fmt.Errorf("xz -dc %s: %w", file, err)
	}
	return out, nil
}
