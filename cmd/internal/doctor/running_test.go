package doctor

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"

	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

// TestRunning: a daemon that answers is asked for its ports and its mode.
func TestRunning(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shuntd.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	caps := &pb.Capabilities{Notes: []string{"Rules end with the daemon.", "The program runs in generic mode, after the sk_buff is made: slower than native."}}
	dev := &pb.Device{Capabilities: caps, Ports: []*pb.Port{{Name: "a"}, {Name: "b"}}}
	var fails error
	look := func(ports ...string) []Finding {
		return daemon(t.Context(), &host{opts: Options{Socket: path, Ports: ports,
			Devices: func(context.Context) ([]*pb.Device, error) { return []*pb.Device{dev}, fails }}})
	}
	expect(t, find(t, look(), "daemon_ports"), OK, "with a, b", "")
	expect(t, find(t, look("b", "a"), "daemon_ports"), OK, "with a, b", "")
	expect(t, find(t, look("a", "c", "d"), "daemon_ports"), Warn, "with a, b, without c, d", "sudo shuntd --nic xdp --ports a,c,d")
	if got := look("a"); len(got) != 2 { // generic by choice is no finding
		t.Errorf("findings: %v", got)
	}
	caps.Notes = append(caps.Notes, "Generic mode was taken because native is not possible: frames redirected to b are lost.")
	expect(t, find(t, look("a"), "daemon_mode"), Warn, "redirected to b are lost", "restart shuntd")
	fails = errors.New("no answer")
	expect(t, find(t, look("a"), "daemon_ports"), Warn, "no answer", "")
}

// TestAsDaemon: where no port is named, a daemon that answers says which, and with
// which driver, unless another driver is asked for.
func TestAsDaemon(t *testing.T) {
	for _, tc := range []struct {
		opts         Options
		has          string
		driver, port string // looked at; "" for none
	}{
		{Options{}, "xdp", "xdp", "a"},
		{Options{}, "sim", "sim", "a"},
		{Options{}, "of another version", "xdp", ""},
		{Options{Driver: "xdp"}, "xdp", "xdp", "a"},
		{Options{Driver: "auto"}, "mlx5", "auto", "a"},
		{Options{Driver: "auto"}, "xdp", "auto", ""},
		{Options{Ports: []string{"b"}}, "sim", "xdp", "b"},
	} {
		h := fake(t, nil)
		h.opts = tc.opts
		h.opts.Devices = func(context.Context) ([]*pb.Device, error) {
			return []*pb.Device{{Driver: tc.has, Ports: []*pb.Port{{Name: "a"}}}}, nil
		}
		found := run(t.Context(), h)
		if h.opts.Driver != tc.driver || strings.Join(h.opts.Ports, ",") != tc.port {
			t.Errorf("%+v, daemon has %s: looked at %s %v", tc.opts, tc.has, h.opts.Driver, h.opts.Ports)
		}
		if tc.driver == "xdp" && tc.port != "" {
			expect(t, find(t, found, "port"), Fail, tc.port+" is not there", "ip -br link")
		}
	}
}

// TestCommands: what is advised keeps the flags of this run.
func TestCommands(t *testing.T) {
	for _, tc := range []struct {
		opts         Options
		again, start string
	}{
		{Options{}, "sudo shuntctl doctor", "sudo shuntd --config FILE   # or: sudo shuntd --nic xdp --ports eth0,eth1"},
		{Options{Driver: "xdp", Ports: []string{"a", "b"}}, "sudo shuntctl doctor --ports a,b", "sudo shuntd --nic xdp --ports a,b   # or: sudo shuntd --config FILE"},
		{Options{Driver: "sim"}, "sudo shuntctl doctor --nic sim", "sudo shuntd --config FILE   # or: sudo shuntd --nic sim --ports eth0,eth1"},
	} {
		h := &host{opts: tc.opts}
		if h.again() != tc.again || h.start() != tc.start {
			t.Errorf("%+v: %q, %q", tc.opts, h.again(), h.start())
		}
	}
}
