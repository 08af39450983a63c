// Shunt-demo shows shunt at work in a network of namespaces on one machine.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

func main() {
	root := &cobra.Command{Use: "shunt-demo", SilenceUsage: true, SilenceErrors: true}
	root.AddCommand(trafficCommand())
	if err := root.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "shunt-demo:", err)
		os.Exit(1)
	}
}
