package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/shunt-offload/shunt/cmd/internal/rpc"
)

// Exit codes.
const (
	exitOK       = 0
	exitFailed   = 1
	exitUsage    = 2
	exitNotFound = 3
)

// app is one run of shuntctl.
type app struct {
	out, err io.Writer
	screen   screen

	socket  string
	timeout time.Duration
	output  output
}

// Main runs shuntctl with the process's own streams and gives its exit code.
func Main(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &app{out: os.Stdout, err: os.Stderr, screen: screenOf(os.Stdout, os.Getenv)}
	return a.run(ctx, args, os.Getenv)
}

func (a *app) run(ctx context.Context, args []string, getenv func(string) string) int {
	root := a.root(getenv)
	root.SetArgs(args)
	return a.report(root.ExecuteContext(ctx))
}

func (a *app) root(getenv func(string) string) *cobra.Command {
	root := &cobra.Command{
		Use:   "shuntctl",
		Short: "Show and steer what shuntd puts into the NIC",
		Long: `shuntctl shows which connections are in the NIC, says why the others are not, and
lets an operator pin, deny and evict them. It talks to shuntd over a unix socket.

Exit codes: 0 it worked, 1 it did not, 2 the command was written wrongly,
3 there is no such flow or intent.`,
		Example: `  shuntctl flows list
  shuntctl flows explain tcp 10.0.0.1:4000 192.0.2.1:443
  shuntctl stats`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          subcommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
	})
	socket := getenv("SHUNT_SOCKET")
	if socket == "" {
		socket = rpc.DefaultSocket
	}
	fs := root.PersistentFlags()
	fs.SortFlags = false
	fs.StringVar(&a.socket, "socket", socket, "`path` of shuntd's socket, or address of its TCP port; $SHUNT_SOCKET")
	fs.DurationVar(&a.timeout, "timeout", 10*time.Second, "how long to wait for an answer; a watch has no end")
	fs.VarP(&a.output, "output", "o", "`format`: table, wide or json (one object per line)")
	must(root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(outputs, cobra.ShellCompDirectiveNoFileComp)))
	root.AddCommand(a.flows(), a.routes(), a.intents(), a.devices(), a.stats(), a.pause(), a.resume(), a.doctor(), a.version())
	return root
}

// must is for what only a wrong program can get wrong.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// subcommand refuses what is no verb; cobra's own check lets it pass below the root.
func subcommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	text := fmt.Sprintf("%s has no verb %q", cmd.CommandPath(), args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		text += fmt.Sprintf("; did you mean %q?", near[0])
	} else {
		text += "; see " + cmd.CommandPath() + " --help"
	}
	return &usageError{errors.New(text)}
}

// exactly asks for n arguments and says what they are.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		if n == 0 {
			return &usageError{fmt.Errorf("%s takes no arguments, not %q", cmd.CommandPath(), args[0])}
		}
		return &usageError{fmt.Errorf("%s takes %s; see %s --help", cmd.CommandPath(), what, cmd.CommandPath())}
	}
}
