package vm

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// modules are what the guest has loaded when anything runs, by name. What they
// depend on comes first by itself, except where they do not say it.
var modules = []string{
	"crc32c_generic", // act_csum's libcrc32c looks for it when it is loaded
	"sch_ingress", "cls_flower", "cls_matchall", "act_gact", "act_mirred", "act_pedit", "act_csum", "act_vlan",
	"act_tunnel_key", "act_police", "act_skbedit", "act_ct",
	"nf_conntrack", "nf_conntrack_netlink", "nf_nat", "nf_tables", "nft_ct", "nft_nat", "nft_masq", "nft_redir", "nft_chain_nat",
	"nft_limit", "nft_log", "nft_reject_inet", "nft_flow_offload", "nf_flow_table", "nf_flow_table_inet", "nf_defrag_ipv4", "nf_defrag_ipv6",
	"8021q", "bonding", "dummy", "veth", "vrf", "macvlan", "vxlan", "bridge", "openvswitch", "nlmon",
}

// atHand are modules that the guest's kernel asks modprobe for when somebody wants
// them. One that a kernel does not have is left out.
var atHand = []string{
	"act_sample", "act_mpls", "act_nat", "act_bpf", "cls_bpf", "cls_u32", "cls_basic", "sch_htb", "sch_netem", "sch_prio", "sch_tbf", "sch_fq_codel",
	"ifb", "team", "ipvlan", "tun", "geneve", "ip_gre", "ip6_gre", "ipip", "sit", "8021q", "mpls_router", "psample",
	"nft_fib_inet", "nft_fib_ipv4", "nft_fib_ipv6", "nft_hash", "nft_numgen", "nft_quota", "nft_connlimit", "nft_objref", "nft_synproxy", "nft_tproxy",
	"nft_socket", "nft_queue", "nft_tunnel", "nft_reject_netdev", "nft_dup_netdev", "nft_fwd_netdev", "nf_conntrack_ftp", "nf_nat_ftp", "nf_conntrack_sip",
	"inet_diag", "tcp_diag", "udp_diag", "raw_diag", "unix_diag", "netlink_diag", "af_packet_diag",
}

// index knows a kernel's modules.
type index struct {
	files  map[string]string // name: file, under the kernel's folder of modules
	inside map[string]bool   // names of what is built in
	read   func(file string) ([]byte, error)
	data   map[string][]byte // what was read, by file
}

// newIndex takes modules.order and modules.builtin, which list a file a line: what
// they depend on stands in the modules themselves. (Debian's packages have no
// modules.dep; depmod, which makes one, would read some 4000 modules.)
func newIndex(order, builtin string, read func(file string) ([]byte, error)) *index {
	x := &index{files: map[string]string{}, inside: map[string]bool{}, read: read, data: map[string][]byte{}}
	for line := range strings.Lines(order) {
		file := strings.TrimSpace(line)
		x.files[moduleName(file)] = file
	}
	for line := range strings.Lines(builtin) {
		x.inside[moduleName(strings.TrimSpace(line))] = true
	}
	return x
}

// order gives the files of modules and of what they need, each before whoever
// needs it. Modules that are built in are left out.
func (x *index) order(names []string) ([]string, error) {
	var out []string
	done := map[string]bool{}
	var add func(name string) error
	add = func(name string) error {
		file, ok := x.files[name]
		switch {
		case done[name] || !ok && x.inside[name]:
			return nil
		case !ok:
			return fmt.Errorf("the kernel has no module %s", name)
		}
		done[name] = true
		needs, err := x.needs(file)
		if err != nil {
			return err
		}
		for _, n := range needs {
			if err := add(n); err != nil {
				return fmt.Errorf("%s needs %s: %w", name, n, err)
			}
		}
		out = append(out, file)
		return nil
	}
	for _, n := range names {
		if err := add(n); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// needs are the names of modules that one depends on, by its own word.
func (x *index) needs(file string) ([]string, error) {
	data, err := x.module(file)
	if err != nil {
		return nil, err
	}
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	info := f.Section(".modinfo")
	if info == nil {
		return nil, fmt.Errorf("%s has no .modinfo", file)
	}
	text, err := info.Data()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return parseInfo(text), nil
}

// parseInfo finds "depends=a,b" among strings that end in 0 bytes.
func parseInfo(info []byte) []string {
	for word := range strings.SplitSeq(string(info), "\x00") {
		if list, ok := strings.CutPrefix(word, "depends="); ok && list != "" {
			names := strings.Split(list, ",")
			for i, n := range names {
				names[i] = moduleName(n)
			}
			return names
		}
	}
	return nil
}

// module gives a module's bytes.
func (x *index) module(file string) ([]byte, error) {
	if data, ok := x.data[file]; ok {
		return data, nil
	}
	data, err := x.read(file)
	if err == nil {
		x.data[file] = data
	}
	return data, err
}

// had are those of names that the kernel has as files.
func (x *index) had(names []string) []string {
	var out []string
	for _, n := range names {
		if x.files[n] != "" {
			out = append(out, n)
		}
	}
	return out
}

func (k *Kernel) moduleDir() string { return filepath.Join(k.Root, "lib", "modules", k.Release) }

func (k *Kernel) index(ctx context.Context) (*index, error) {
	order, err := os.ReadFile(filepath.Join(k.moduleDir(), "modules.order"))
	if err != nil {
		return nil, err
	}
	builtin, err := os.ReadFile(filepath.Join(k.moduleDir(), "modules.builtin"))
	if err != nil {
		return nil, err
	}
	return newIndex(string(order), string(builtin), func(file string) ([]byte, error) {
		path := filepath.Join(k.moduleDir(), file)
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) { // the list names it as it was before it was compressed
			if data, err = os.ReadFile(path + ".xz"); err == nil {
				data, err = decompress(ctx, data)
			}
		}
		return data, err
	}), nil
}

// modulePath is where the guest has a module: uncompressed.
func (k *Kernel) modulePath(file string) string {
	dir, _ := path.Split(file)
	base, _, _ := strings.Cut(path.Base(file), ".ko")
	return path.Join("/lib/modules", k.Release, dir, base+".ko")
}

func moduleName(file string) string {
	name, _, _ := strings.Cut(path.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

// addModules puts modules into the archive, and the lists by which modprobe finds
// them.
func (c *Config) addModules(ctx context.Context, a *archive, k *Kernel, x *index, files []string) error {
	tmp, err := os.MkdirTemp(c.Cache, "tmp-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	for _, f := range files {
		data, err := x.module(f)
		if err != nil {
			return err
		}
		at := filepath.Join(tmp, k.modulePath(f))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(at, unsigned(data), 0o644); err != nil {
			return err
		}
	}
	dir := filepath.Join(tmp, "lib/modules", k.Release)
	for _, f := range []string{"modules.order", "modules.builtin", "modules.builtin.modinfo"} {
		data, err := os.ReadFile(filepath.Join(k.moduleDir(), f))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, f), data, 0o644); err != nil {
			return err
		}
	}
	if err := said(program(ctx, "", which("depmod"), "-b", tmp, k.Release)); err != nil {
		return fmt.Errorf("depmod for %s: %w", k.Release, err)
	}
	a.tree("/lib/modules/"+k.Release, dir)
	return a.err
}

// unsigned takes the signature off a module: to verify one costs an emulated
// machine some 30 ms, and simnic has none anyway. The trailer is the kernel's
// struct module_signature, whose last word is the signature's length, and a magic.
func unsigned(data []byte) []byte {
	const magic, info = "~Module signature appended~\n", 12
	body, ok := bytes.CutSuffix(data, []byte(magic))
	if !ok || len(body) < info {
		return data
	}
	n := int(binary.BigEndian.Uint32(body[len(body)-4:]))
	if n > len(body)-info {
		return data
	}
	return body[:len(body)-info-n]
}
