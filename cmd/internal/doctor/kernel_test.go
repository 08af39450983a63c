package doctor

import (
	"bytes"
	"compress/gzip"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/cmd/internal/card"
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev"
)

const config = "boot/config-6.1.0-test"

// TestKernelFindings: what the kernel was built with, what it has loaded, and who
// listens.
func TestKernelFindings(t *testing.T) {
	const debian612 = "CONFIG_MLX5_ESWITCH=y\n# CONFIG_NET_TC_SKB_EXT is not set\nCONFIG_NET_ACT_GACT=y"
	for name, tc := range map[string]struct {
		kernel     string // of the card
		files      map[string]string
		broken     func(r *rack)
		finding    string
		level      Level
		text, mend string
	}{
		"mlx5 can":                            {"mlx5_core", nil, nil, "kernel_config", OK, "takes flower rules", ""},
		"Debian's 6.12":                       {"mlx5_core", map[string]string{config: debian612}, nil, "kernel_config", Fail, "CONFIG_MLX5_CLS_ACT is off in ", "Debian 12's own 6.1"},
		"why it is off":                       {"mlx5_core", map[string]string{config: debian612}, nil, "kernel_config", Fail, "needs CONFIG_NET_TC_SKB_EXT, which is off too", "CONFIG_MLX5_CLS_ACT=y"},
		"only forgotten":                      {"mlx5_core", map[string]string{config: "CONFIG_MLX5_ESWITCH=y\nCONFIG_NET_TC_SKB_EXT=y"}, nil, "kernel_config", Fail, "CONFIG_MLX5_CLS_ACT is off", "=y"},
		"ice can't":                           {"ice", map[string]string{config: debian612}, nil, "kernel_config", Fail, "CONFIG_ICE_SWITCHDEV is off", "boot a kernel with CONFIG_ICE_SWITCHDEV=y"},
		"no configuration, but a representor": {"mlx5_core", map[string]string{config: ""}, nil, "kernel_config", OK, "vf0 can have", ""},
		"no configuration, and a representor without": {"mlx5_core", map[string]string{config: ""},
			func(r *rack) { r.dev.Ports[1].TCOffload = switchdev.TCOffloadOffFixed }, "kernel_config", Fail, "vf0 has hw-tc-offload off [fixed]", "CONFIG_MLX5_CLS_ACT=y"},
		"no configuration, no representor": {"mlx5_core", map[string]string{config: "CONFIG_\n"},
			func(r *rack) { r.dev.Ports, r.s.ports = r.dev.Ports[:1], r.s.ports[:1] }, "kernel_config", Warn, "not to be read", "devices probe"},
		"no card yet": {"", map[string]string{config: debian612}, func(r *rack) { r.s.ports, r.opts.Driver = nil, "mlx5" }, "kernel_config", Fail, "mlx5_core cannot", "=y"},

		"modules":         {"mlx5_core", nil, nil, "kernel_modules", OK, "loads act_pedit, act_csum, act_vlan when", ""},
		"a module is off": {"mlx5_core", map[string]string{"sys/module/cls_flower/refcnt": ""}, nil, "kernel_modules", Fail, "/6.1.0-test lacks what rules are made of: cls_flower", "modprobe -a cls_flower"},
		"not for ice": {"ice", map[string]string{"lib/modules/6.1.0-test/modules.dep": ""}, func(r *rack) { r.opts.Driver = "ice" }, "kernel_modules", OK,
			"are loaded", ""},

		"nobody listens": {"mlx5_core", nil, nil, "tc_listeners", OK, "nobody", ""},
		"a listener": {"mlx5_core", map[string]string{"proc/thread-self/net/netlink": "sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode\n0 0 42 00000008 0 0 0 2 0 4711",
			"proc/42/cmdline": "tc\x00monitor\x00\x1b[2J"}, func(r *rack) { holds(t, r, 42, 4711) }, "tc_listeners", Warn, "process 42 (tc monitor ?[2J) listens", "sudo kill 42"},
		"a listener of nobody's": {"mlx5_core", map[string]string{"proc/thread-self/net/netlink": "sk\n0 0 42 0000000c 0 0 0 2 0 4711"}, nil, "tc_listeners", Warn,
			"socket 4711", "sudo shuntctl doctor --nic auto"},
		"another family": {"mlx5_core", map[string]string{"proc/thread-self/net/netlink": "sk\n0 15 42 00000008 0 0 0 2 0 4711"}, nil, "tc_listeners", OK, "nobody", ""},
		"no list":        {"mlx5_core", map[string]string{"proc/thread-self/net/netlink": ""}, nil, "tc_listeners", Warn, "cannot be listed", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRack(t, tc.kernel)
			was := r.host
			*r.host = *fake(t, tc.files)
			r.opts, r.take = Options{Driver: card.Auto, Ports: []string{"p0", "vf0", "vf1"}}, func(context.Context, []string) *survey { return r.s }
			if tc.broken != nil {
				tc.broken(r)
			}
			among(t, run(t.Context(), was), tc.finding, tc.level, tc.text, tc.mend)
		})
	}
}

// holds makes a process hold a socket.
func holds(t *testing.T, r *rack, pid, inode int) {
	t.Helper()
	dir := filepath.Join(r.proc, strconv.Itoa(pid), "fd")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("socket:["+strconv.Itoa(inode)+"]", filepath.Join(dir, "3")); err != nil {
		t.Fatal(err)
	}
}

// TestConfigGz: the kernel's own copy comes first.
func TestConfigGz(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte("CONFIG_A=m\n# CONFIG_B is not set\n")); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	h := fake(t, map[string]string{config: "CONFIG_A=y"})
	if err := os.WriteFile(h.proc+"/config.gz", b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	got, source, err := h.kernelConfig()
	if err != nil || got["A"] != "m" || got["B"] != "" || source != h.proc+"/config.gz" {
		t.Errorf("%v from %s: %v", got, source, err)
	}
}

// message is one filter as the kernel lists it.
func message(handle uint32, prio uint16, kind string, opts []byte) []byte {
	b := append([]byte(nil), make([]byte, 16+20)...)
	ne.PutUint16(b[4:], unix.RTM_NEWTFILTER)
	ne.PutUint32(b[24:], handle)
	ne.PutUint32(b[32:], uint32(prio)<<16)
	b = append(b, attr(tcaKind, append([]byte(kind), 0))...)
	if opts != nil {
		b = append(b, attr(tcaOptions|unix.NLA_F_NESTED, opts)...)
	}
	ne.PutUint32(b, uint32(len(b)))
	return b
}

func attr(typ uint16, v []byte) []byte {
	b := ne.AppendUint16(nil, uint16(4+len(v)))
	b = append(ne.AppendUint16(b, typ), v...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// flowerOpts is a filter in hardware alone whose last action has a cookie.
func flowerOpts(cookie []byte) []byte {
	first := attr(1, attr(actCookie, []byte("no")))
	return append(attr(flowerAct, append(first, attr(2, attr(actCookie, cookie))...)), attr(flowerFlags, ne.AppendUint32(nil, skipSW))...)
}

// TestClassifiers counts what a listing says, and by whom it was made: the cookie
// of the last action.
func TestClassifiers(t *testing.T) {
	ours := hwif.NewCookie(7, 1)
	guard := ours
	guard[5] = 2
	var b []byte
	for _, m := range [][]byte{
		message(0, 10, "flower", nil), message(1, 10, "flower", flowerOpts(guard[:])),
		message(0, 11, "flower", nil), message(1, 11, "flower", flowerOpts(ours[:])), message(2, 11, "flower", flowerOpts([]byte("0123456789abcdef"))),
		message(3, 11, "flower", flowerOpts([]byte("short"))), message(4, 11, "flower", attr(flowerFlags, ne.AppendUint32(nil, 0))),
		message(1, 5, "matchall", []byte{}), message(0, 6, "bpf", nil),
	} {
		b = append(b, m...)
	}
	var all tallies
	done, n, err := all.take(b)
	if err != nil || done || n != 9 {
		t.Fatalf("done %v after %d filters: %v", done, n, err)
	}
	want := []classifier{{prio: 5, kind: "matchall"}, {prio: 6, kind: "bpf"}, {prio: 10, kind: "flower", filters: 1, ours: 1, skipSW: 1},
		{prio: 11, kind: "flower", filters: 4, ours: 1, skipSW: 3, cookies: 2}}
	want[0].filters = 1
	if len(all.list) != len(want) {
		t.Fatalf("got %+v", all.list)
	}
	for i := range want {
		if all.list[i] != want[i] {
			t.Errorf("got %+v\nwant %+v", all.list[i], want[i])
		}
	}
	for n := range b { // what is cut short is no filter, and no panic
		var cut tallies
		_, _, _ = cut.take(b[:n])
	}
	end := make([]byte, 20)
	ne.PutUint32(end, 20)
	ne.PutUint16(end[4:], unix.NLMSG_ERROR)
	no := -int32(unix.EINVAL)
	ne.PutUint32(end[16:], uint32(no))
	if done, _, err := all.take(end); !done || err == nil {
		t.Errorf("an error ends the list: %v, %v", done, err)
	}
	ne.PutUint16(end[4:], unix.NLMSG_DONE)
	if done, _, err := all.take(end); !done || err != nil {
		t.Errorf("done ends the list: %v, %v", done, err)
	}
}
