package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/sim/vm"
)

func (a *app) run() *cobra.Command {
	return &cobra.Command{
		Use:     "run -- COMMAND ...",
		Short:   "Run one command in the guest, and give its output and exit code",
		Example: "  shunt-vm run -- tc -V\n  shunt-vm run --kernel 6.1 -- sh -c 'uname -r; devlink dev'",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := a.one(cmd.Context(), vm.Plan{Command: args})
			if err != nil {
				return err
			}
			defer m.Close()
			say("kernel %s", m.Kernel.Release)
			res, err := m.Boot(cmd.Context(), vm.Options{Lines: func(l string) {
				if text, own, _ := strings.Cut(l, vm.Mark); text != "" || own == "" {
					fmt.Println(text)
				}
			}})
			if err != nil {
				return err
			}
			say("booted in %.1f s", res.Boot.Seconds())
			if bad := faults(res); len(bad) > 0 {
				return errors.New(strings.Join(bad, "\n"))
			}
			if res.Code != 0 {
				say("%s: exit code %d", args[0], res.Code)
				return exitError(res.Code)
			}
			return nil
		},
	}
}

func (a *app) shell() *cobra.Command {
	return &cobra.Command{
		Use:   "shell",
		Short: "A shell in the guest; exit powers it off",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			plan := vm.Plan{Shell: true, Rows: 24, Cols: 80}
			if ws, err := unix.IoctlGetWinsize(int(os.Stdin.Fd()), unix.TIOCGWINSZ); err == nil && ws.Row > 0 {
				plan.Rows, plan.Cols = int(ws.Row), int(ws.Col)
			}
			m, err := a.one(cmd.Context(), plan)
			if err != nil {
				return err
			}
			defer m.Close()
			say("kernel %s, up in some seconds. Try:\n   echo id=0 profile=mlx5 mode=switchdev > /sys/bus/simnic/new_device; devlink port", m.Kernel.Release)
			restore := raw()
			res, err := m.Boot(cmd.Context(), vm.Options{Stdin: os.Stdin, Stdout: os.Stdout})
			restore()
			if err != nil {
				return err
			}
			if bad := faults(res); len(bad) > 0 {
				return errors.New(strings.Join(bad, "\n"))
			}
			return nil
		},
	}
}

// raw gives the terminal's keys to the guest, and returns what takes that back.
func raw() func() {
	fd := int(os.Stdin.Fd())
	old, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return func() {} // no terminal: a script on standard input
	}
	t := *old
	t.Iflag &^= unix.ICRNL | unix.IXON
	t.Lflag &^= unix.ECHO | unix.ICANON | unix.ISIG | unix.IEXTEN
	_ = unix.IoctlSetTermios(fd, unix.TCSETS, &t) // Ctrl-C is this program's, then
	return func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, old) }
}
