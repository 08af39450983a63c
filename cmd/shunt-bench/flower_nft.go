package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// nft says why there is no row for nft's flowtable: it asks the ports for one with
// offload, and gives the kernel's words.
func (c *course) nft(ctx context.Context) string {
	cmd := exec.CommandContext(ctx, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(fmt.Sprintf("add table inet bench\nadd flowtable inet bench ft { hook ingress priority 0; devices = { %s, %s }; flags offload; }\ndelete table inet bench\n", c.in.Name, c.out.Name))
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &text
	err := cmd.Run()
	if err == nil {
		return "nft flowtable, flags offload: no row; the ports take one, and this benchmark does not know how to fill it"
	}
	first, _, _ := strings.Cut(strings.TrimSpace(text.String()), "\n")
	return fmt.Sprintf("nft flowtable, flags offload: no row; on these ports nft says %q: the kernel asks a port for TC_SETUP_FT, which mlx5's representors have and its uplink and this card have not", first)
}
