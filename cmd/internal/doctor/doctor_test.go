package doctor

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

const nf = "proc/sys/net/netfilter/"

// TestFindings breaks one thing at a time and reads what is said about it, and
// that nothing is said when nothing is broken.
func TestFindings(t *testing.T) {
	ctx := context.Background()
	for name, tc := range map[string]struct {
		broken     map[string]string // file → content; "" takes it away
		host       func(*host)
		finding    string
		level      Level
		text, mend string
	}{
		"rights": {nil, func(h *host) { h.caps = func() (uint64, error) { return 1 << unix.CAP_NET_ADMIN, nil } },
			"privileges", Fail, "lacks CAP_BPF, CAP_PERFMON", "AmbientCapabilities=CAP_BPF CAP_PERFMON"},
		"rights unreadable": {nil, func(h *host) { h.caps = func() (uint64, error) { return 0, unix.EFAULT } },
			"privileges", Warn, "bad address", ""},
		"rights fine": {nil, nil, "privileges", OK, "CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON: all there", ""},

		"bpf forbidden": {nil, func(h *host) { h.mapCreate = func() error { return unix.EPERM } }, "bpf", Fail, "refuses", "setcap"},
		"bpf absent":    {nil, func(h *host) { h.mapCreate = func() error { return unix.ENOSYS } }, "bpf", Fail, "no bpf(2)", "CONFIG_BPF_SYSCALL"},
		"bpf memory":    {nil, func(h *host) { h.mapCreate = func() error { return unix.ENOMEM } }, "bpf", Fail, "cannot allocate", "ulimit"},
		"bpf fine":      {nil, nil, "bpf", OK, "no compiler is needed", ""},
		"btf absent":    {map[string]string{"sys/kernel/btf/vmlinux": ""}, nil, "btf", Fail, "it is not there", "CONFIG_DEBUG_INFO_BTF"},
		"btf fine":      {nil, nil, "btf", OK, "describes", ""},
		"bpffs absent":  {nil, nil, "bpffs", Warn, "outlive", "mount -t bpf"},

		"conntrack absent": {map[string]string{nf + "nf_conntrack_count": ""}, nil, "conntrack", Fail, "tracks no connections", "modprobe nf_conntrack"},
		"conntrack asleep": {map[string]string{nf + "nf_conntrack_count": "0", "proc/thread-self/net/snmp": "Ip: Forwarding ForwDatagrams\nIp: 1 77"}, nil,
			"conntrack", Warn, "77 packets have been forwarded", "ct state"},
		"conntrack asleep, one": {map[string]string{nf + "nf_conntrack_count": "0", "proc/thread-self/net/snmp": "Ip: Forwarding ForwDatagrams\nIp: 1 1"}, nil,
			"conntrack", Warn, "1 packet has been forwarded", "ct state"},
		"conntrack one":   {map[string]string{nf + "nf_conntrack_count": "1"}, nil, "conntrack", OK, "1 connection is tracked", ""},
		"conntrack idle":  {map[string]string{nf + "nf_conntrack_count": "0"}, nil, "conntrack", OK, "0 connections", ""},
		"conntrack fine":  {nil, nil, "conntrack", OK, "100 connections", ""},
		"events off":      {map[string]string{nf + "nf_conntrack_events": "0"}, nil, "nf_conntrack_events", Fail, "is 0", "nf_conntrack_events=1"},
		"events auto":     {map[string]string{nf + "nf_conntrack_events": "2"}, nil, "nf_conntrack_events", Warn, "is 2", "nf_conntrack_events=1"},
		"events absent":   {map[string]string{nf + "nf_conntrack_events": ""}, nil, "nf_conntrack_events", Fail, "announces nothing", "CONFIG_NF_CONNTRACK_EVENTS"},
		"events fine":     {nil, nil, "nf_conntrack_events", OK, "is 1", ""},
		"acct off":        {map[string]string{nf + "nf_conntrack_acct": "0"}, nil, "nf_conntrack_acct", Warn, "no packet counts", "nf_conntrack_acct=1"},
		"acct fine":       {nil, nil, "nf_conntrack_acct", OK, "is 1", ""},
		"timestamp off":   {map[string]string{nf + "nf_conntrack_timestamp": "0"}, nil, "nf_conntrack_timestamp", Warn, "can look like it", "nf_conntrack_timestamp=1"},
		"timestamp gone":  {map[string]string{nf + "nf_conntrack_timestamp": ""}, nil, "nf_conntrack_timestamp", Warn, "cannot be read", "nf_conntrack_timestamp=1"},
		"room is short":   {map[string]string{nf + "nf_conntrack_count": "800"}, nil, "conntrack_room", Warn, "80 %", "nf_conntrack_max=2000"},
		"room is out":     {map[string]string{nf + "nf_conntrack_count": "950"}, nil, "conntrack_room", Fail, "drops entries", "nf_conntrack_max=2000"},
		"room fine":       {map[string]string{nf + "nf_conntrack_count": "799"}, nil, "conntrack_room", OK, "79 %", ""},
		"buffer is small": {nil, func(h *host) { h.force = func(int) (int, error) { return 212992, nil } }, "receive_buffer", Warn, "208 KiB", "rmem_max=67108864"},
		"buffer unknown":  {nil, func(h *host) { h.force = func(int) (int, error) { return 0, unix.EMFILE } }, "receive_buffer", Warn, "could not be tried", ""},
		"buffer fine":     {nil, nil, "receive_buffer", OK, "64 MiB", ""},

		"IPv4 off":         {map[string]string{"proc/sys/net/ipv4/conf/all/forwarding": "0"}, nil, "forwarding_ipv4", Fail, "forwards nothing", "ip_forward=1"},
		"IPv4 off on port": {map[string]string{"proc/sys/net/ipv4/conf/p0.7/forwarding": "0"}, nil, "forwarding_ipv4", Fail, "p0.7", "ip_forward=1"},
		"IPv4 fine":        {nil, nil, "forwarding_ipv4", OK, "on", ""},
		"IPv6 off":         {map[string]string{"proc/sys/net/ipv6/conf/all/forwarding": "0"}, nil, "forwarding_ipv6", Warn, "only IPv4", "ipv6.conf.all.forwarding=1"},
		"IPv6 absent":      {map[string]string{"proc/sys/net/ipv6/conf/all/forwarding": ""}, nil, "forwarding_ipv6", Warn, "not there", "ipv6.conf.all.forwarding=1"},
		"rp all strict":    {map[string]string{"proc/sys/net/ipv4/conf/all/rp_filter": "1"}, nil, "rp_filter", Warn, "strict for all", "net.ipv4.conf.all.rp_filter=2"},
		"rp port strict":   {map[string]string{"proc/sys/net/ipv4/conf/p0.7/rp_filter": "1"}, nil, "rp_filter", Warn, "strict for p0.7", "net.ipv4.conf.p0/7.rp_filter=2"},
		"rp all loose":     {map[string]string{"proc/sys/net/ipv4/conf/all/rp_filter": "2", "proc/sys/net/ipv4/conf/p0.7/rp_filter": "1"}, nil, "rp_filter", OK, "not strict", ""},
		"multipath by L4":  {map[string]string{"proc/sys/net/ipv4/fib_multipath_hash_policy": "1"}, nil, "multipath", Warn, "is 1", "fib_multipath_hash_policy=0"},
		"multipath fine":   {nil, nil, "multipath", OK, "is 0", ""},
		"silent routes":    {map[string]string{"proc/sys/net/ipv6/route/skip_notify_on_dev_down": "1"}, nil, "route_events", Fail, "without a word", "skip_notify_on_dev_down=0"},
		"routes fine":      {nil, nil, "route_events", OK, "announces", ""},
		"no ports":         {nil, func(h *host) { h.opts.Ports = nil }, "ports", Warn, "none named", "--ports"},
		"port is missing":  {nil, nil, "port", Fail, "p0.7 is not there", "ip -br link"},
	} {
		t.Run(name, func(t *testing.T) {
			h := fake(t, tc.broken)
			if tc.host != nil {
				tc.host(h)
			}
			expect(t, find(t, run(ctx, h), tc.finding), tc.level, tc.text, tc.mend)
		})
	}
}

// TestSimNeedsNothing: with the card in memory only the daemon's socket matters.
func TestSimNeedsNothing(t *testing.T) {
	h := fake(t, nil)
	h.opts = Options{Driver: "sim", Socket: filepath.Join(t.TempDir(), "s")}
	got := run(context.Background(), h)
	if len(got) != 1 || got[0].Name != "daemon" {
		t.Errorf("findings for sim: %v", got)
	}
}

func TestDaemon(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "shuntd.sock")
	look := func() Finding { return daemon(ctx, &host{opts: Options{Socket: path}})[0] }
	expect(t, look(), Warn, "there is no "+path, "sudo shuntd --config FILE")

	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, look(), OK, "answers on "+path, "")
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	expect(t, look(), Warn, "was left by one that died", "sudo shuntd --config FILE")

	if os.Geteuid() != 0 {
		if err := os.Chmod(path, 0); err != nil {
			t.Fatal(err)
		}
		expect(t, look(), Fail, "may not connect", "sudo")
	}
	if got := daemon(ctx, &host{}); got != nil {
		t.Errorf("no socket given, yet: %v", got)
	}
}

// TestReal runs every check on this very host: whatever it is like, each subject
// has its say, and nothing that needs mending goes without its command.
func TestReal(t *testing.T) {
	got := Run(context.Background(), Options{Socket: filepath.Join(t.TempDir(), "none")})
	for _, name := range []string{"privileges", "bpf", "btf", "bpffs", "conntrack", "nf_conntrack_events", "flowtable", "receive_buffer", "forwarding_ipv4", "rp_filter", "ports", "daemon"} {
		find(t, got, name)
	}
	for _, f := range got {
		if f.Text == "" || f.Level == Fail && f.Mend == "" {
			t.Errorf("%+v", f)
		}
	}
	if Worst(got) < Warn { // at least the daemon is not there
		t.Errorf("worst is %s", Worst(got))
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if got := Run(ctx, Options{}); len(got) != 0 {
		t.Errorf("after the end of its context: %v", got)
	}
}

// TestProgram judges what a port's XDP program is without one being there: the
// answer for a program that has just gone.
func TestProgram(t *testing.T) {
	expect(t, program("p0", nil), OK, "no XDP program", "")
	if _, err := programName(1<<32 - 2); !errors.Is(err, unix.ENOENT) && !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a program that does not exist: %v", err)
	}
}

func TestFlowtable(t *testing.T) {
	msg := []byte{
		unix.NFPROTO_INET, 0, 0, 0, // nfgenmsg
		9, 0, 1, 0, 'f', 'i', 'l', 't', 0, 0, 0, 0, // NFTA_FLOWTABLE_TABLE "filt"
		7, 0, 2, 0, 'f', 't', 0, 0, // NFTA_FLOWTABLE_NAME "ft"
		28, 0, 3, 0x80, // NFTA_FLOWTABLE_HOOK
		8, 0, 1, 0, 0, 0, 0, 0, // NFTA_FLOWTABLE_HOOK_NUM
		16, 0, 3, 0x80, // NFTA_FLOWTABLE_HOOK_DEVS
		9, 0, 1, 0, 'e', 't', 'h', '0', 0, 0, 0, 0, // NFTA_DEVICE_NAME
		8, 0, 7, 0, 0, 0, 0, 1, // NFTA_FLOWTABLE_FLAGS: offload
	}
	got, err := parseFlowtable(msg)
	if err != nil || got.name != "inet filt ft" || !got.offload || len(got.devices) != 1 || got.devices[0] != "eth0" {
		t.Errorf("got %+v, %v", got, err)
	}
	for n := range msg {
		_, _ = parseFlowtable(msg[:n]) // short messages do not panic
	}
	if _, err := parseFlowtable(msg[:3]); err == nil {
		t.Error("three bytes are no message")
	}
}
