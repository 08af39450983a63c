package doctor

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fake is a host whose /proc and /sys are folders, healthy until a test breaks
// one thing.
func fake(t *testing.T, broken map[string]string) *host {
	t.Helper()
	root := t.TempDir()
	files := map[string]string{
		"proc/sys/net/netfilter/nf_conntrack_count":       "100",
		"proc/sys/net/netfilter/nf_conntrack_max":         "1000",
		"proc/sys/net/netfilter/nf_conntrack_events":      "1",
		"proc/sys/net/netfilter/nf_conntrack_acct":        "1",
		"proc/sys/net/netfilter/nf_conntrack_timestamp":   "1",
		"proc/sys/net/ipv4/conf/all/forwarding":           "1",
		"proc/sys/net/ipv4/conf/p0.7/forwarding":          "1",
		"proc/sys/net/ipv6/conf/all/forwarding":           "1",
		"proc/sys/net/ipv4/conf/all/rp_filter":            "0",
		"proc/sys/net/ipv4/conf/p0.7/rp_filter":           "0",
		"proc/sys/net/ipv4/fib_multipath_hash_policy":     "0",
		"proc/sys/net/ipv6/route/skip_notify_on_dev_down": "0",
		"proc/thread-self/net/snmp":                       "Ip: Forwarding ForwDatagrams InUnknownProtos\nIp: 1 0 0",
		"sys/kernel/btf/vmlinux":                          "x",
		"boot/config-6.1.0-test":                          "CONFIG_MLX5_ESWITCH=y\nCONFIG_MLX5_CLS_ACT=y\nCONFIG_ICE_SWITCHDEV=y\nCONFIG_NFP_APP_FLOWER=y\nCONFIG_NET_ACT_GACT=y",
		"sys/module/sch_ingress/refcnt":                   "0",
		"sys/module/cls_flower/refcnt":                    "0",
		"sys/module/act_mirred/refcnt":                    "0",
		"lib/modules/6.1.0-test/modules.dep":              "kernel/net/sched/act_pedit.ko:\nkernel/net/sched/act_csum.ko.xz:\nkernel/net/sched/act_vlan.ko:",
		"proc/thread-self/net/netlink":                    "sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode\n0000 0 77 00000001 0 0 0 2 0 555",
	}
	for k, v := range broken {
		files[k] = v
	}
	for name, content := range files {
		if content == "" {
			continue
		}
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return &host{
		opts: Options{Ports: []string{"p0.7"}}, proc: root + "/proc", sys: root + "/sys", boot: root + "/boot", lib: root + "/lib",
		release:   "6.1.0-test",
		caps:      func() (uint64, error) { return ^uint64(0), nil },
		mapCreate: func() error { return nil },
		force:     func(n int) (int, error) { return n, nil },
		observe:   func() (string, string, error) { return "tcx", "", nil },
		tables:    func() ([]flowtable, error) { return nil, nil },
		take:      func(context.Context, []string) *survey { return &survey{} },
		privFlags: func(string) (map[string]bool, error) { return nil, nil },
	}
}

// find gives the finding of that name.
func find(t *testing.T, fs []Finding, name string) Finding {
	t.Helper()
	for _, f := range fs {
		if f.Name == name {
			return f
		}
	}
	t.Fatalf("nothing is said about %s", name)
	return Finding{}
}

// expect holds one finding against what it should say; mend "" wants none.
func expect(t *testing.T, f Finding, level Level, text, mend string) {
	t.Helper()
	if f.Level != level || !strings.Contains(f.Text, text) || (mend == "") != (f.Mend == "") || !strings.Contains(f.Mend, mend) {
		t.Errorf("%s: got %s %q, mend %q\nwant %s with %q, mend with %q", f.Name, f.Level, f.Text, f.Mend, level, text, mend)
	}
}
