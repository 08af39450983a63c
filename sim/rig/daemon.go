package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	shuntv1 "github.com/shunt-offload/shunt/proto/shunt/v1"
	"github.com/shunt-offload/shunt/sim/lab"
)

// DaemonOptions: zero values are defaults.
type DaemonOptions struct {
	Dir      string   // for config, socket and log; required
	Driver   string   // default xdp
	Ports    []string // default lan0, wan0
	Settings string   // the driver's, as YAML flow mapping: "{mode: generic}"
	OnExit   string   // "flush" or "keep"
	Idle     time.Duration
	Relist   time.Duration // default 1s
	Recheck  time.Duration // default 5s
	MinAge   time.Duration
	MinPkts  int // packets before a flow is considered; default 0: at once
	LogLevel string
	Policy   []string // further lines of policy: "ruleset: keep"
	Route    []string // and of route
}

// Daemon is a shuntd on the lab's router.
type Daemon struct {
	Flows  shuntv1.FlowServiceClient
	Agent  shuntv1.AgentServiceClient
	Config string // path of its configuration
	Socket string
	Log    string // path of its log

	proc     *lab.Process
	conn     *grpc.ClientConn
	programs Programs
	args     []string
	start    func(*exec.Cmd) (*lab.Process, error)
}

// section indents lines of a section.
func section(lines []string) string {
	out := ""
	for _, l := range lines {
		out += "  " + l + "\n"
	}
	return out
}

// config writes the daemon's configuration.
func (o *DaemonOptions) config(socket string) string {
	ports := o.Ports
	if ports == nil {
		ports = []string{lab.LANPort, lab.WANPort}
	}
	or := func(s, d string) string {
		if s == "" {
			return d
		}
		return s
	}
	duration := func(v, d time.Duration) time.Duration {
		if v == 0 {
			return d
		}
		return v
	}
	return fmt.Sprintf(`nic:
  driver: %s
  ports: [%s]
  count: 500ms
  settings: %s
policy:
  # At once, so that the story is short.
  min_packets: %d
  min_age: %s
  idle: %s
%sconntrack:
  relist: %s
route:
  recheck: %s
%sapi:
  socket: %s
metrics:
  listen: 127.0.0.1:9469
log:
  level: %s
on_exit: %s
`, or(o.Driver, "xdp"), strings.Join(ports, ", "), or(o.Settings, "{}"), o.MinPkts, o.MinAge, duration(o.Idle, 30*time.Second), section(o.Policy),
		duration(o.Relist, time.Second), duration(o.Recheck, 5*time.Second), section(o.Route), socket, or(o.LogLevel, "debug"), or(o.OnExit, "flush"))
}

// Start starts shuntd in the router's namespace and returns when it serves.
func Start(ctx context.Context, l *lab.Lab, p Programs, opts DaemonOptions) (*Daemon, error) {
	d := newDaemon(p, opts.Dir)
	d.start = l.Router.Start
	if err := os.WriteFile(d.Config, []byte(opts.config(d.Socket)), 0o600); err != nil {
		return nil, err
	}
	return d, d.Run(ctx)
}

// StartStory starts shuntd on the in-memory NIC, with a scripted kernel that
// plays for the given time. It needs no lab and no root; the caller stops it.
func StartStory(ctx context.Context, p Programs, dir string, length time.Duration) (*Daemon, error) {
	d := newDaemon(p, dir)
	d.start = lab.Start
	d.args = []string{"--story=" + length.String()}
	text := fmt.Sprintf("nic: {driver: sim, count: 500ms}\npolicy: {min_packets: 0, min_age: 0s}\nconntrack: {relist: 1s}\napi: {socket: %s}\nmetrics: {listen: \"\"}\n", d.Socket)
	if err := os.WriteFile(d.Config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return d, d.Run(ctx)
}

func newDaemon(p Programs, dir string) *Daemon {
	return &Daemon{
		Config: filepath.Join(dir, "shuntd.yaml"), Socket: filepath.Join(dir, "shuntd.sock"),
		Log: filepath.Join(dir, "shuntd.log"), programs: p,
	}
}

// Command is the program as it was started.
func (d *Daemon) Command() string {
	return strings.Join(append([]string{"shuntd", "--config", d.Config}, d.args...), " ")
}

// Run starts the program and waits for its API; also again after Stop or Kill.
// The log is appended to, so that a restart's story can be read as one.
func (d *Daemon) Run(ctx context.Context) error {
	log, err := os.OpenFile(d.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(d.programs.Shuntd, append([]string{"--config", d.Config}, d.args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	if d.proc, err = d.start(cmd); err != nil {
		return err
	}
	d.conn, err = grpc.NewClient("unix:"+d.Socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return errors.Join(err, d.proc.Stop())
	}
	d.Flows, d.Agent = shuntv1.NewFlowServiceClient(d.conn), shuntv1.NewAgentServiceClient(d.conn)
	if err := d.ready(ctx); err != nil {
		return fmt.Errorf("shuntd does not serve: %w\n%s", errors.Join(err, d.Stop()), d.Tail(20))
	}
	return nil
}

// startLimit is how long a daemon may take from its start to SERVING.
const startLimit = time.Minute

func (d *Daemon) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	health := healthv1.NewHealthClient(d.conn)
	for {
		res, err := health.Check(ctx, &healthv1.HealthCheckRequest{})
		if err == nil && res.Status == healthv1.HealthCheckResponse_SERVING {
			return nil
		}
		select {
		case <-d.proc.Ended():
			return errors.New("it has ended")
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// PID is the daemon's process number.
func (d *Daemon) PID() int { return d.proc.PID() }

// Stop asks the daemon to end and waits.
func (d *Daemon) Stop() error { return errors.Join(d.proc.Stop(), d.close()) }

// Kill ends the daemon with SIGKILL: it gets no chance to clean up.
func (d *Daemon) Kill() error {
	d.proc.Kill()
	return d.close()
}

// Ended gives a channel that is closed when the daemon has ended.
func (d *Daemon) Ended() <-chan struct{} { return d.proc.Ended() }

func (d *Daemon) close() error {
	if d.conn == nil {
		return nil
	}
	err := d.conn.Close()
	d.conn = nil
	return err
}

// Ctl runs shuntctl against the daemon and gives its output. The error holds
// what it wrote to standard error.
func (d *Daemon) Ctl(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, d.programs.Shuntctl, append([]string{"--socket", d.Socket}, args...)...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("shuntctl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}

// Tail gives the last lines of the log.
func (d *Daemon) Tail(lines int) string {
	b, err := os.ReadFile(d.Log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
