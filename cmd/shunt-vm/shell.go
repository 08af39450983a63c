package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/sim/vm"
)

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
			p, err := a.prepare(cmd.Context(), nil)
			if err != nil {
				return err
			}
			defer p.close()
			k, err := vm.Fetch(cmd.Context(), p.cache, a.kernel)
			if err != nil {
				return err
			}
			fmt.Printf("kernel %s; try: echo id=0 profile=mlx5 mode=switchdev > /sys/bus/simnic/new_device; devlink port\r\n", k.Release)
			defer raw()()
			res, err := vm.Run(cmd.Context(), k, p.built, vm.Options{Top: p.top, Cache: p.cache, Plan: plan, Stdin: os.Stdin, Stdout: os.Stdout})
			if err != nil {
				return err
			}
			for _, c := range res.Complaints {
				fmt.Printf("\r\nthe kernel complained:\r\n%s\r\n", c)
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
	_ = unix.IoctlSetTermios(fd, unix.TCSETS, &t)
	return func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, old) }
}
