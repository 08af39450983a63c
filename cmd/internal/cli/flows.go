package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shunt-offload/shunt/cmd/internal/rpc/filter"
)

func (a *app) flows() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "flows",
		Aliases: []string{"flow"},
		Short:   "Connections: list, watch, explain, pin, deny, evict",
		Example: `  shuntctl flows list state=active
  shuntctl flows pin tcp 10.0.0.1:4000 192.0.2.1:443 --note "gold customer" --lease 8h`,
		Args: subcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.flowsList(), a.flowsGet(), a.flowsWatch(), a.flowsExplain(),
		a.flowsPin(), a.flowsUnpin(), a.flowsDeny(), a.flowsAllow(), a.flowsEvict())
	return cmd
}

// filterHelp describes the filter language out of the language's own table.
func filterHelp() string {
	var b strings.Builder
	b.WriteString(`
A filter is terms, all of which must hold. A comma means or, != means none of
them, ! turns a flag around. Addresses and ports are looked for on both sides of
a NAT.

`)
	for _, k := range filter.Keys() {
		help, example := filter.Help(k)
		fmt.Fprintf(&b, "  %-24s %s\n", example, help)
	}
	for _, f := range filter.Flags() {
		help, _ := filter.Help(f)
		fmt.Fprintf(&b, "  %-24s %s\n", f, help)
	}
	return strings.TrimRight(b.String(), "\n")
}

// completeFilter proposes keys, flags, and the words of closed lists.
func completeFilter(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	const noSpace = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	key, values, found := strings.Cut(typed, "=")
	if !found {
		var out []string
		for _, k := range filter.Keys() {
			out = append(out, k+"=")
		}
		return append(out, filter.Flags()...), noSpace
	}
	done := ""
	if i := strings.LastIndexByte(values, ','); i >= 0 {
		done = values[:i+1]
	}
	var out []string
	for _, w := range filter.Words(strings.TrimSuffix(key, "!")) {
		out = append(out, key+"="+done+w)
	}
	return out, noSpace
}
