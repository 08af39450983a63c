package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// ovsFlows is how many flows Open vSwitch is given: it takes its time.
const ovsFlows = 2000

// ovs lets Open vSwitch put flows of its own into the card, if it can, and gives
// its row; or the words that say why there is none.
func (c *course) ovs(ctx context.Context) string {
	dir, err := os.MkdirTemp("", "ovs")
	if err != nil {
		return "  Open vSwitch: no row; " + err.Error()
	}
	defer os.RemoveAll(dir)
	env := append(os.Environ(), "OVS_RUNDIR="+dir, "OVS_LOGDIR="+dir, "OVS_DBDIR="+dir, "OVS_SYSCONFDIR="+dir)
	run := func(args ...string) error {
		ctx, cancel := context.WithTimeout(ctx, 120*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Env = env
		var text bytes.Buffer
		cmd.Stdout, cmd.Stderr = &text, &text
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(args[:min(3, len(args))], " "), err, strings.TrimSpace(text.String()))
		}
		return nil
	}
	defer func() {
		_ = run("ovs-appctl", "-t", "ovs-vswitchd", "exit", "--cleanup")
		_ = run("ovs-appctl", "-t", "ovsdb-server", "exit")
	}()
	db := "--db=unix:" + dir + "/db.sock"
	vsctl := func(args ...string) error { return run(append([]string{"ovs-vsctl", db, "--timeout=30"}, args...)...) }
	steps := []func() error{
		func() error {
			return run("ovsdb-tool", "create", dir+"/conf.db", "/usr/share/openvswitch/vswitch.ovsschema")
		},
		func() error {
			return run("ovsdb-server", dir+"/conf.db", "--remote=punix:"+dir+"/db.sock", "--pidfile", "--detach", "--log-file")
		},
		func() error { return vsctl("--no-wait", "init") },
		func() error {
			return vsctl("--no-wait", "set", "Open_vSwitch", ".", "other_config:hw-offload=true", "other_config:tc-policy=skip_sw")
		},
		func() error {
			return run("ovs-vswitchd", "unix:"+dir+"/db.sock", "--pidfile", "--detach", "--log-file")
		},
		func() error { return vsctl("add-br", "br0", "--", "set", "bridge", "br0", "fail-mode=secure") },
		func() error { return vsctl("add-port", "br0", c.card.VF(1)) },
	}
	for _, s := range steps {
		if err := s(); err != nil {
			return "  Open vSwitch: no row; " + err.Error()
		}
	}
	before, err := c.used()
	if err != nil {
		return "  Open vSwitch: no row; " + err.Error()
	}
	var flows bytes.Buffer
	for i := range ovsFlows {
		fmt.Fprintf(&flows, "add in_port(%s),eth(dst=%s),eth_type(0x0800),ipv4(src=10.%d.%d.1/255.255.255.255,dst=192.0.2.1/255.255.255.255,proto=6),tcp(src=%d,dst=443) drop\n",
			c.card.VF(1), c.in.MAC, i>>8, i&255, 1024+i)
	}
	if err := os.WriteFile(dir+"/flows", flows.Bytes(), 0o600); err != nil {
		return "  Open vSwitch: no row; " + err.Error()
	}
	began := time.Now()
	if err := run("ovs-appctl", "-t", "ovs-vswitchd", "dpctl/add-flows", "system@ovs-system", dir+"/flows"); err != nil {
		return "  Open vSwitch: no row; " + err.Error()
	}
	took := time.Since(began)
	after, err := c.used()
	if err != nil || after-before < ovsFlows {
		return fmt.Sprintf("  Open vSwitch: no row; it took %d flows through its datapath interface and %d came into the card (%v)", ovsFlows, after-before, err)
	}
	return fmt.Sprintf("  Open vSwitch, hw-offload, tc-policy=skip_sw: %.0f rules/s for %d drop rules given to its datapath interface", ovsFlows/took.Seconds(), ovsFlows)
}
