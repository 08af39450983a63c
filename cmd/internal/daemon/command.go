package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/cmd/internal/card"
	"github.com/shunt-offload/shunt/cmd/internal/config"
)

// Exit codes of shuntd.
const (
	exitOK     = 0
	exitFailed = 1 // it ran, or tried to, and could not go on
	exitUsage  = 2 // flags or configuration are wrong; systemd must not try again
)

// A story fits these: chapters are thirds of it, and connections of the script
// live two minutes without traffic.
const (
	usualStory    = time.Minute
	shortestStory = 3 * time.Second
	longestStory  = 2 * time.Minute
)

// flags is the command line.
type flags struct {
	config      string
	driver      string
	ports       []string
	onExit      string
	socket      string
	logLevel    string
	story       time.Duration
	check       bool
	printConfig bool
}

// usageError is what the operator has to mend in flags or file.
type usageError struct{ err error }

func (u usageError) Error() string { return u.err.Error() }
func (u usageError) Unwrap() error { return u.err }

// Main is the program: it reads args, runs until a signal, and gives the exit code.
func Main(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	// Who read our log may have gone, by the same Ctrl-C too: that is no reason to leave
	// rules behind.
	signal.Ignore(unix.SIGPIPE)
	// The first signal asks for an orderly end; the next one ends at once.
	context.AfterFunc(ctx, stop)
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, unix.SIGHUP)
	defer signal.Stop(hup)
	return runCommand(ctx, args, hup, stdout, stderr)
}

func runCommand(ctx context.Context, args []string, hup <-chan os.Signal, stdout, stderr io.Writer) int {
	cmd := command(hup, stdout, stderr)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(stderr, "shuntd:", err)
	if errors.As(err, new(usageError)) {
		return exitUsage
	}
	return exitFailed
}

func command(hup <-chan os.Signal, stdout, stderr io.Writer) *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "shuntd",
		Short: "Put the connections that are worth it into the NIC",
		Long: `shuntd watches the connections that Linux tracks, puts the heavy ones into the
NIC with the route that each one takes, and gives every one of them back the
moment it should not be there.

It reads ` + config.DefaultPath + ` if it exists; flags win over the file.
SIGHUP reads the file again, SIGTERM gives every flow back to the kernel and ends.`,
		Example: `  shuntd --nic xdp --ports eth0,eth1
  shuntd --nic auto --ports p0,pf0vf0,pf0vf1
  shuntd --nic sim --story --socket /tmp/shuntd.sock
  shuntd --config shuntd.yaml --check
  shuntd --print-config > shuntd.yaml`,
		Version: Version(),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("%q is no flag; shuntd takes flags only, see shuntd --help", args[0])}
			}
			return nil
		},
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd.Context(), cmd, hup, stdout, stderr)
		},
	}
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	cmd.SetVersionTemplate("shuntd {{.Version}}\n")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see shuntd --help", err)}
	})
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.config, "config", "", "configuration `file` (default "+config.DefaultPath+", which may be missing)")
	fs.StringVar(&f.driver, "nic", "", "the device's `driver`: "+strings.Join(card.Names(), ", "))
	fs.StringSliceVar(&f.ports, "ports", nil, "`interfaces` between which flows are forwarded, like eth0,eth1")
	fs.StringVar(&f.onExit, "on-exit", "", "what becomes of the rules at the end: `flush` or keep")
	fs.StringVar(&f.socket, "socket", "", "`path` of the API's unix socket")
	fs.StringVar(&f.logLevel, "log-level", "", "debug, info, warn or error")
	fs.DurationVar(&f.story, "story", 0, "with --nic sim: play a demonstration, a minute `long`; needs no root")
	fs.Lookup("story").NoOptDefVal = usualStory.String()
	fs.BoolVar(&f.check, "check", false, "read the configuration, print what was understood, and end")
	fs.BoolVar(&f.printConfig, "print-config", false, "print the default configuration with its explanations, and end")
	return cmd
}

func (f *flags) run(ctx context.Context, cmd *cobra.Command, hup <-chan os.Signal, stdout, stderr io.Writer) error {
	if f.printConfig {
		_, err := stdout.Write(config.DefaultFile())
		return err
	}
	load := func() (*config.Config, error) { return f.load(cmd) }
	cfg, err := load()
	if err != nil {
		return usageError{err}
	}
	if f.check {
		return check(ctx, cfg, stdout)
	}
	return Run(ctx, Options{Config: cfg, Reload: load, HUP: hup, Story: f.story, Stderr: stderr})
}

// load reads the file, puts the flags over it, and checks the whole.
func (f *flags) load(cmd *cobra.Command) (*config.Config, error) {
	cfg, file, err := config.Load(f.config)
	if err != nil {
		return nil, err
	}
	for _, o := range []struct {
		flag string
		set  func()
	}{
		{"nic", func() { cfg.NIC.Driver = f.driver }},
		{"ports", func() { cfg.NIC.Ports = trimmed(f.ports) }},
		{"on-exit", func() { cfg.OnExit = f.onExit }},
		{"socket", func() { cfg.API.Socket = f.socket }},
		{"log-level", func() { cfg.Log.Level = f.logLevel }},
	} {
		if cmd.Flags().Changed(o.flag) {
			o.set()
		}
	}
	if cfg.NIC.Driver == simDriver && len(cfg.NIC.Ports) == 0 {
		cfg.NIC.Ports = scriptedPorts()
	}
	var unknown error
	if cfg.NIC.Driver != "" {
		unknown = knownDriver(cfg.NIC.Driver)
	}
	if cmd.Flags().Changed("story") && unknown == nil {
		if cfg.NIC.Driver != simDriver {
			return nil, fmt.Errorf("--story plays on a router in memory, and driver %s works on this host; use --nic sim", cfg.NIC.Driver)
		}
		if f.story < shortestStory || f.story > longestStory {
			return nil, fmt.Errorf("--story is %s; allowed: %s to %s", f.story, shortestStory, longestStory)
		}
	}
	return cfg, errors.Join(unknown, cfg.Check(file))
}

func trimmed(in []string) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = strings.TrimSpace(s)
	}
	return out
}
