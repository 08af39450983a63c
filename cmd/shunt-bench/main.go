// Shunt-bench measures shunt and prints one line per figure:
//
//	figure NAME VALUE UNIT
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

func main() {
	root := &cobra.Command{
		Use:           "shunt-bench",
		Short:         "Measure shunt",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(forwarding.command(), dropping.command(), observing.command(), rerouteCommand(), engineCommand(), flowerCommand())
	if err := root.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "shunt-bench:", err)
		os.Exit(1)
	}
}
