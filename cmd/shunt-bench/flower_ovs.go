package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// ovs is Open vSwitch with a bridge over two other representors of the card, told
// to offload and never to forward by itself. Flows are given to its datapath
// interface, and from there go the way of those that it learns from packets
// (netdev-offload-tc). Its revalidators rest: they would throw out what no
// OpenFlow rule stands for.
type ovs struct {
	dir string
	env []string
}

func (c *course) openVSwitch() (r *racer, err error) {
	dir, err := os.MkdirTemp("", "ovs")
	if err != nil {
		return nil, err
	}
	o := &ovs{dir: dir, env: append(os.Environ(), "OVS_RUNDIR="+dir, "OVS_LOGDIR="+dir, "OVS_DBDIR="+dir, "OVS_SYSCONFDIR="+dir)}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.close())
		}
	}()
	in, out := c.card.VF(1), c.card.VF(2)
	if err := c.card.Quieten(in, out); err != nil {
		return nil, err
	}
	if err := o.start(in, out); err != nil {
		return nil, err
	}
	ports, err := o.ports()
	if err != nil {
		return nil, err
	}
	mac, err := os.ReadFile("/sys/class/net/" + in + "/address")
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if _, err := o.ask("version"); err != nil {
		return nil, err
	}
	start := time.Since(began)
	flow := func(i int) string {
		return fmt.Sprintf("in_port(%s),eth(src=00:00:00:00:00:00/00:00:00:00:00:00,dst=%s),", ports[in], strings.TrimSpace(string(mac))) + c.ovsMatch(i)
	}
	give := func(command string, line func(i int) string) (func(from, to int), move) {
		file := filepath.Join(dir, command)
		var text bytes.Buffer
		ready := func(from, to int) {
			text.Reset()
			for i := from; i < to; i++ {
				text.WriteString(line(i))
			}
		}
		return ready, func(context.Context, int, int) error {
			if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
				return err
			}
			_, err := o.ask("dpctl/"+command, "system@ovs-system", file)
			return err
		}
	}
	readyIn, insert := give("add-flows", func(i int) string { return "add " + flow(i) + " " + c.ovsActions(i) + "," + ports[out] + "\n" })
	readyOut, remove := give("del-flows", func(i int) string { return "delete " + flow(i) + "\n" })
	return &racer{
		name:  nameOVS,
		note:  "hw-offload, tc-policy=skip_sw, rules as its datapath's flows; TTL exact instead of TTL-1, csum and per-CPU counters besides; its processor time is another process's",
		start: start,
		ready: func(from, to int) { readyIn(from, to); readyOut(from, to) }, insert: insert, remove: remove,
		apart: true,
		readers: []reader{{name: readOVS, start: start, read: func(context.Context) error {
			text, err := o.ask("dpctl/dump-flows", "-m", "system@ovs-system", "type=offloaded")
			if n := strings.Count(text, "offloaded:yes"); err == nil && n != c.n {
				err = fmt.Errorf("%d flows, want %d", n, c.n)
			}
			return err
		}}},
		end: o.close,
	}, nil
}

// ovsMatch is the i-th rule's match behind the MACs.
func (c *course) ovsMatch(i int) string {
	r := c.rule(i)
	m := &r.Match
	return fmt.Sprintf("eth_type(0x0800),ipv4(src=%s,dst=%s,proto=%d,tos=0/0,ttl=64,frag=no),tcp(src=%d,dst=%d),tcp_flags(%#x/%#x)",
		ip4(m.Src), ip4(m.Dst), m.Proto, m.SrcPort, m.DstPort, m.TCPFlags, m.TCPFlagsMask)
}

// ovsActions are its rewrites.
func (c *course) ovsActions(i int) string {
	r := c.rule(i)
	a := &r.Actions
	return fmt.Sprintf("set(eth(src=%s,dst=%s)),set(ipv4(src=%s,ttl=63)),set(tcp(src=%d))", a.EthSrc, a.EthDst, ip4(a.IPSrc), a.SrcPort)
}

func (o *ovs) start(ports ...string) error {
	db := "unix:" + filepath.Join(o.dir, "db.sock")
	conf := filepath.Join(o.dir, "conf.db")
	vsctl := []string{"ovs-vsctl", "--db=" + db, "--timeout=60"}
	steps := [][]string{
		{"ovsdb-tool", "create", conf, "/usr/share/openvswitch/vswitch.ovsschema"},
		{"ovsdb-server", conf, "--remote=p" + db, "--pidfile", "--detach", "--log-file"},
		append(vsctl, "--no-wait", "init"),
		append(vsctl, "--no-wait", "set", "Open_vSwitch", ".", "other_config:hw-offload=true", "other_config:tc-policy=skip_sw"),
		{"ovs-vswitchd", db, "--pidfile", "--detach", "--log-file"},
		append(vsctl, "add-br", "br-bench", "--", "set", "bridge", "br-bench", "fail-mode=secure"),
	}
	for _, p := range ports {
		steps = append(steps, append(vsctl, "add-port", "br-bench", p))
	}
	for _, s := range steps {
		if _, err := o.run(s...); err != nil {
			return err
		}
	}
	_, err := o.ask("revalidator/pause")
	return err
}

var portLine = regexp.MustCompile(`(?m)^\s*port (\d+): (\S+)`)

// ports are the datapath's numbers of interfaces.
func (o *ovs) ports() (map[string]string, error) {
	text, err := o.ask("dpctl/show", "system@ovs-system")
	out := map[string]string{}
	for _, m := range portLine.FindAllStringSubmatch(text, -1) {
		out[m[2]] = m[1]
	}
	return out, err
}

func (o *ovs) run(args ...string) (string, error) {
	text, complaint, err := o.exec(args...)
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", strings.Join(args[:min(4, len(args))], " "), err, complaint)
	}
	return text, err
}

// ask gives vswitchd a command. It says no to a flow with exit status 0.
func (o *ovs) ask(args ...string) (string, error) {
	text, complaint, err := o.exec(append([]string{"ovs-appctl", "-t", "ovs-vswitchd"}, args...)...)
	if err == nil && complaint != "" {
		err = errComplaint
	}
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", args[0], err, complaint)
	}
	return text, err
}

var errComplaint = errors.New("ovs-vswitchd complains")

// exec gives what a program says, and the first line that it says beside it.
func (o *ovs) exec(args ...string) (text, complaint string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = o.env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	complaint, _, _ = strings.Cut(strings.TrimSpace(errs.String()), "\n")
	return out.String(), complaint, err
}

// close ends the daemons, which take their flows and bridge with them. They answer
// before they have ended; revalidators that rest would not end.
func (o *ovs) close() error {
	_, err := o.ask("revalidator/resume")
	_, err1 := o.ask("exit", "--cleanup")
	_, err2 := o.run("ovs-appctl", "-t", "ovsdb-server", "exit")
	for _, daemon := range []string{"ovs-vswitchd", "ovsdb-server"} {
		pid := filepath.Join(o.dir, daemon+".pid")
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
			if _, gone := os.Stat(pid); gone != nil {
				break
			}
			if time.Now().After(deadline) {
				err = errors.Join(err, fmt.Errorf("%s does not end", daemon))
				break
			}
		}
	}
	return errors.Join(err, err1, err2, os.RemoveAll(o.dir))
}
