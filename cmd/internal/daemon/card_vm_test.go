//go:build vm

package daemon

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shunt-offload/shunt/cmd/internal/card"
	"github.com/shunt-offload/shunt/cmd/internal/config"
	"github.com/shunt-offload/shunt/hwif"
	shuntv1 "github.com/shunt-offload/shunt/proto/shunt/v1"
	"github.com/shunt-offload/shunt/sim/simnic"
)

// plugged makes a card, up, that goes with the test.
func plugged(t *testing.T, o simnic.Options) *simnic.Card {
	t.Helper()
	c, err := simnic.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, p := range c.Ports() {
		for _, name := range []string{p, c.Far(p)} {
			if simnic.Index(name) != 0 {
				if err := simnic.Up(name); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return c
}

func say(t *testing.T, line string) string {
	t.Helper()
	f := strings.Fields(line)
	out, err := exec.Command(f[0], f[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", line, err, out)
	}
	return string(out)
}

// cardConfig is a daemon over ports of a card.
func cardConfig(t *testing.T, driver string, ports ...string) *config.Config {
	t.Helper()
	cfg := config.Default()
	cfg.NIC.Driver, cfg.NIC.Ports = driver, ports
	cfg.API.Socket, cfg.Metrics.Listen = filepath.Join(t.TempDir(), "s.sock"), ""
	cfg.Conntrack.ReceiveBuffer = 4 << 20 // of a guest with little memory
	if err := cfg.Check(nil); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// device is what a daemon says of its only one.
func device(t *testing.T, cfg *config.Config) *shuntv1.Device {
	t.Helper()
	r, err := client(t, cfg.API.Socket).ListDevices(t.Context(), &shuntv1.ListDevicesRequest{})
	if err != nil || len(r.GetDevices()) != 1 {
		t.Fatalf("%v, %v", r, err)
	}
	return r.GetDevices()[0]
}

// onCard counts filters and says whether a clsact qdisc is there, of others than
// the guest's own on lo.
func onCard(t *testing.T, c *simnic.Card) (rules int, qdisc bool) {
	t.Helper()
	r, err := c.Rules()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(say(t, "tc qdisc show")) {
		qdisc = qdisc || strings.Contains(line, "clsact") && !strings.Contains(line, " dev lo ")
	}
	return len(r), qdisc
}

// TestAuto: the daemon takes the driver of the ports' card, says what its ports
// join, and leaves nothing behind.
func TestAuto(t *testing.T) {
	for profile, guards := range map[string]int{"mlx5": 4, "flower": 4, "nfp": 0} { // nfp compares the TTL itself
		t.Run(profile, func(t *testing.T) {
			c := plugged(t, simnic.Options{Profile: profile, Mode: "switchdev"})
			cfg := cardConfig(t, card.Auto, c.Uplink(0), c.VF(0), c.VF(1))
			d := begin(t, Options{Config: cfg})
			d.log.await(t, "driver chosen by the ports")
			dev := device(t, cfg)
			if dev.GetDriver() != profile || !dev.GetCapabilities().GetPersistent() || dev.GetStrangers() != 0 || dev.GetFailed() != "" {
				t.Errorf("%v", dev)
			}
			for i, want := range []struct {
				name  string
				kind  shuntv1.PortKind
				joins []string
			}{
				{c.Uplink(0), shuntv1.PortKind_PORT_KIND_UPLINK, []string{c.VF(0), c.VF(1)}},
				{c.VF(0), shuntv1.PortKind_PORT_KIND_VF, []string{c.Uplink(0), c.VF(1)}},
				{c.VF(1), shuntv1.PortKind_PORT_KIND_VF, []string{c.Uplink(0), c.VF(0)}},
			} {
				p := dev.GetPorts()[i]
				others := slices.DeleteFunc(slices.Clone(p.GetJoins().GetPorts()), func(n string) bool { return n == p.GetName() })
				if p.GetName() != want.name || p.GetKind() != want.kind || p.GetRefused() != "" || !p.GetUp() || !slices.Equal(others, want.joins) {
					t.Errorf("%v, want %v", p, want)
				}
			}
			if n, q := onCard(t, c); n != 3*guards || !q {
				t.Errorf("%d rules in the card, want %d guards; qdisc %v", n, 3*guards, q)
			}
			d.end(t)
			if n, q := onCard(t, c); n != 0 || q {
				t.Errorf("%d rules, qdisc %v after the end", n, q)
			}
		})
	}
}

// TestRefusals: what the start would refuse, --check refuses too, with key, port
// and what mends it, and neither changes anything.
func TestRefusals(t *testing.T) {
	m := plugged(t, simnic.Options{Profile: "mlx5", Mode: "switchdev", Serial: 0xabc})
	i := plugged(t, simnic.Options{ID: 1, Profile: "ice", Mode: "switchdev"})
	b := plugged(t, simnic.Options{ID: 2, Profile: "bnxt"})
	l := plugged(t, simnic.Options{ID: 3, Profile: "ice", Mode: "legacy", NoVFs: true})
	say(t, "ip link add link "+m.Uplink(0)+" name lan type vlan id 7")
	defer say(t, "ip link del dev lan")
	before := say(t, "tc qdisc show")
	for _, tc := range []struct {
		driver string
		ports  []string
		want   string
	}{
		{"auto", []string{"lan"}, "nic.driver: auto: lan is a vlan and no port itself; name what lies below it: " + m.Uplink(0)},
		{"mlx5", []string{"lan"}, "nic.ports: lan is a vlan"},
		{"auto", []string{m.Far(m.Uplink(0))}, "is no port of a card with an eswitch"},
		{"auto", []string{m.VF(0), i.VF(0)}, m.VF(0) + " wants driver mlx5, and " + i.VF(0) + " wants ice: one daemon serves one card"},
		{"ice", []string{m.VF(0)}, "nic.ports: " + m.VF(0) + " is a port of simnic/simnic0, whose driver is mlx5, and not ice"},
		{"auto", []string{b.Uplink(0)}, "ignores TCP flags"},
		{"bnxt", []string{b.Uplink(0)}, "nic.driver: bnxt is recognised and not used: "},
		{"auto", []string{i.VF(0)}, "nic.ports: " + i.VF(0) + ": hw-tc-offload is off; run: ethtool -K " + i.VF(0) + " hw-tc-offload on"},
		{"auto", []string{l.Uplink(0)}, "nic.ports: " + l.Uplink(0) + ": its eswitch is in mode legacy; remove all VFs, devlink dev eswitch set simnic/simnic3 mode switchdev"},
	} {
		code, _, errs := shuntd(t, "--check", "--nic", tc.driver, "--ports", strings.Join(tc.ports, ","))
		if code != exitUsage || !strings.Contains(errs, tc.want) {
			t.Errorf("--check %s %v: exit %d, %q, want %q", tc.driver, tc.ports, code, errs, tc.want)
		}
		if err := Run(t.Context(), Options{Config: cardConfig(t, tc.driver, tc.ports...)}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s %v: %v, want %q", tc.driver, tc.ports, err, tc.want)
		}
	}
	file := cardConfig(t, "auto", m.VF(0))
	file.NIC.Settings = map[string]string{"prio": "0"}
	if err := Run(t.Context(), Options{Config: file}); err == nil || !strings.Contains(err.Error(), `nic.settings.prio: "0" is no prio`) {
		t.Errorf("prio 0: %v", err)
	}
	if code, out, errs := shuntd(t, "--check", "--nic", "auto", "--ports", m.Uplink(0)+","+m.VF(0)); code != 0 || !strings.Contains(out, "# driver auto is mlx5 here") {
		t.Errorf("all well: exit %d, %q %q", code, out, errs)
	}
	if after := say(t, "tc qdisc show"); after != before {
		t.Errorf("something was changed:\n%s\nbefore:\n%s", after, before)
	}
}

// TestForeignFilters: at our prefs they are refused by name, and with another prio
// all is well; elsewhere, even of a kind that the kernel lists only in full, they
// are left alone.
func TestForeignFilters(t *testing.T) {
	c := plugged(t, simnic.Options{Profile: "mlx5", Mode: "switchdev"})
	p := c.Uplink(0)
	say(t, "tc qdisc add dev "+p+" clsact")
	say(t, "tc filter add dev "+p+" ingress pref 11 protocol ip flower skip_sw dst_ip 192.0.2.1 action drop")
	say(t, "tc filter add dev "+p+" ingress pref 9 matchall action continue")
	cfg := cardConfig(t, card.Auto, p, c.VF(0))
	if err := Run(t.Context(), Options{Config: cfg}); err == nil || !strings.Contains(err.Error(), p) || !strings.Contains(err.Error(), "filters at pref 11") {
		t.Errorf("%v", err)
	}
	cfg.NIC.Settings = map[string]string{"prio": "1"}
	cfg.NIC.Count = 100 * time.Millisecond
	d := begin(t, Options{Config: cfg})
	time.Sleep(3 * deviceCheck) // the daemon's own look at its device
	if dev := device(t, cfg); dev.GetFailed() != "" || dev.GetPorts()[0].GetRefused() != "" {
		t.Errorf("%v", dev)
	}
	d.end(t)
	left := say(t, "tc filter show dev "+p+" ingress")
	if !strings.Contains(left, "pref 11") || !strings.Contains(left, "pref 9") || strings.Contains(left, "pref 1 ") {
		t.Errorf("left:\n%s", left)
	}
}

// TestHotPlug: a representor that goes and comes back under another number is the
// same port, and both show at once.
func TestHotPlug(t *testing.T) {
	c := plugged(t, simnic.Options{Profile: "mlx5", Mode: "switchdev"})
	cfg := cardConfig(t, card.Auto, c.Uplink(0), c.VF(0), c.VF(1))
	cfg.NIC.Count = time.Minute // what shows before was told, not looked for
	cfg.Policy.Idle = time.Hour
	d := begin(t, Options{Config: cfg})
	port := func() *shuntv1.Port {
		for _, p := range device(t, cfg).GetPorts() {
			if p.GetName() == c.VF(0) {
				return p
			}
		}
		return nil
	}
	was := port().GetIfindex()
	if err := c.Unplug(0); err != nil {
		t.Fatal(err)
	}
	until(t, "the port to be gone", func() bool { return port() == nil })
	if err := c.Plug(0); err != nil {
		t.Fatal(err)
	}
	if err := simnic.Up(c.VF(0)); err != nil {
		t.Fatal(err)
	}
	until(t, "the port to be back", func() bool { return port() != nil && port().GetRefused() == "" })
	if now := port().GetIfindex(); now == was || int(now) != simnic.Index(c.VF(0)) {
		t.Errorf("ifindex %d, was %d", now, was)
	}
	d.log.await(t, "port is gone")
	d.log.await(t, fmt.Sprintf("ifindex=%d", port().GetIfindex()))
	d.end(t)
}

// TestKeep: with on_exit keep what is in the card stays, and the next start takes
// it over; flush takes it out.
func TestKeep(t *testing.T) {
	c := plugged(t, simnic.Options{Profile: "mlx5", Mode: "switchdev"})
	cfg := cardConfig(t, card.Auto, c.Uplink(0), c.VF(0))
	cfg.OnExit = config.Keep
	begin(t, Options{Config: cfg}).end(t)
	if n, q := onCard(t, c); n != 8 || !q {
		t.Errorf("%d rules and qdisc %v kept, want the 8 guards", n, q)
	}
	next := *cfg
	next.OnExit = config.Flush
	d := begin(t, Options{Config: &next})
	if n, _ := onCard(t, c); n != 8 {
		t.Errorf("%d rules after the next start, want the same 8", n)
	}
	d.end(t)
	if n, _ := onCard(t, c); n != 0 {
		t.Errorf("%d rules after a flush", n)
	}
}

// TestBesideTheDaemon: a second one is kept off the ports, and a probe disturbs
// nothing.
func TestBesideTheDaemon(t *testing.T) {
	c := plugged(t, simnic.Options{Profile: "mlx5", Mode: "switchdev"})
	cfg := cardConfig(t, card.Auto, c.Uplink(0), c.VF(0))
	d := begin(t, Options{Config: cfg})
	if err := Run(t.Context(), Options{Config: cardConfig(t, card.Auto, c.VF(1), c.VF(0))}); err == nil || !strings.Contains(err.Error(), "nic.ports: "+c.VF(0)+" is in the hands of another shuntd") {
		t.Errorf("the second one: %v", err)
	}
	before := say(t, "tc filter show dev "+c.VF(0)+" ingress")
	drv, _ := card.Flower("mlx5")
	found, err := drv.Probe(t.Context(), hwif.OpenOptions{Ports: cfg.NIC.Ports})
	if err != nil || len(found) == 0 {
		t.Errorf("%d findings, %v", len(found), err)
	}
	if after := say(t, "tc filter show dev "+c.VF(0)+" ingress"); after != before {
		t.Errorf("the probe left:\n%s\nbefore:\n%s", after, before)
	}
	if dev := device(t, cfg); dev.GetFailed() != "" || dev.GetStrangers() != 0 {
		t.Errorf("%v", dev)
	}
	d.end(t)
}
