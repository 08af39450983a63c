// Shuntctl shows and steers what shuntd puts into the NIC.
package main

import (
	"os"

	"github.com/shunt-offload/shunt/cmd/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:])) }
