// Shuntd puts the connections that are worth it into the NIC.
package main

import (
	"os"

	"github.com/shunt-offload/shunt/cmd/internal/daemon"
)

func main() { os.Exit(daemon.Main(os.Args[1:], os.Stdout, os.Stderr)) }
