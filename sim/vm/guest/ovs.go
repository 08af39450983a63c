package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Where Open vSwitch's programs look by themselves, so that ovs-vsctl and
// ovs-appctl need no arguments. One instance runs at a time.
const (
	runDir = "/run/openvswitch"
	schema = "/usr/share/openvswitch/vswitch.ovsschema"
)

// OVSOptions of StartOVS.
type OVSOptions struct {
	// Offload sets other_config:hw-offload, which the switch reads once.
	Offload bool
	// Policy is other_config:tc-policy: "none" (the default), "skip_sw", "skip_hw".
	Policy string
}

// OVS is a running ovsdb-server and ovs-vswitchd. Close it after use.
type OVS struct {
	dir          string
	server, vswd *service
}

// StartOVS starts both with an empty database, and returns when the switch has
// taken its configuration. What it says goes with an error.
func StartOVS(ctx context.Context, opts OVSOptions) (*OVS, error) {
	dir, err := os.MkdirTemp("", "ovs-")
	if err != nil {
		return nil, err
	}
	o := &OVS{dir: dir}
	if err := o.start(ctx, opts); err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return o, nil
}

func (o *OVS) start(ctx context.Context, opts OVSOptions) error {
	if err := os.MkdirAll(runDir, 0o755); err != nil {
		return err
	}
	db := filepath.Join(o.dir, "conf.db")
	if _, err := output(ctx, "ovsdb-tool", "create", db, schema); err != nil {
		return err
	}
	quiet := []string{"-vconsole:warn", "-vsyslog:off", "-vfile:off", "--pidfile"}
	var err error
	if o.server, err = startService("ovsdb-server", append(quiet, db, "--remote=punix:"+runDir+"/db.sock")...); err != nil {
		return err
	}
	if err := o.server.reach(ctx, runDir+"/db.sock"); err != nil {
		return err
	}
	set := []string{"--no-wait", "--", "init", "--", "set", "Open_vSwitch", ".", fmt.Sprintf("other_config:hw-offload=%t", opts.Offload)}
	if opts.Policy != "" {
		set = append(set, "other_config:tc-policy="+opts.Policy)
	}
	if _, err := o.Vsctl(ctx, set...); err != nil {
		return err
	}
	if o.vswd, err = startService("ovs-vswitchd", append(quiet, "unix:"+runDir+"/db.sock")...); err != nil {
		return err
	}
	// Any change that ovs-vsctl is to wait for returns when the switch has seen it.
	if _, err := o.Vsctl(ctx, "set", "Open_vSwitch", ".", "external_ids:up=yes"); err != nil {
		return fmt.Errorf("%w; ovs-vswitchd: %s", err, o.vswd.words())
	}
	return nil
}

// Vsctl runs ovs-vsctl.
func (o *OVS) Vsctl(ctx context.Context, args ...string) (string, error) {
	return output(ctx, "ovs-vsctl", append([]string{"--timeout=60"}, args...)...)
}

// Appctl runs ovs-appctl, by default on the switch.
func (o *OVS) Appctl(ctx context.Context, args ...string) (string, error) {
	return output(ctx, "ovs-appctl", append([]string{"--timeout=60"}, args...)...)
}

// Close ends both and takes the datapath out of the kernel.
func (o *OVS) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	var errs []error
	if o.vswd != nil {
		_, err := o.Appctl(ctx, "exit", "--cleanup")
		errs = append(errs, err, o.vswd.end(ctx))
	}
	if o.server != nil {
		_, err := o.Appctl(ctx, "-t", "ovsdb-server", "exit")
		errs = append(errs, err, o.server.end(ctx))
	}
	return errors.Join(append(errs, os.RemoveAll(o.dir))...)
}

// output runs a command; its error tells what the command said.
func output(ctx context.Context, name string, args ...string) (string, error) {
	var out, words bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &out, &words
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(words.Bytes()))
	}
	return out.String(), nil
}
