package cli

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

// tupleHelp is how a tuple is written, for the verbs that take one.
const tupleHelp = `
The tuple is protocol, source and destination, as conntrack shows them:
tcp 10.0.0.1:4000 192.0.2.1:443, or udp [2001:db8::1]:5000 [2001:db8::2]:53.
Either direction's will do for a flow that is there.`

// tupleArgs are the three arguments of a tuple and the flag --zone.
type tupleArgs struct{ zone uint16 }

func (t *tupleArgs) on(cmd *cobra.Command) {
	cmd.Flags().Uint16Var(&t.zone, "zone", 0, "conntrack `zone` of the tuple")
	cmd.Args = exactly(3, "a protocol, a source and a destination, like tcp 10.0.0.1:4000 192.0.2.1:443")
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return []string{"tcp", "udp"}, cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

// parse reads the arguments. What can never be a flow is the daemon's to refuse.
func (t *tupleArgs) parse(args []string) (*pb.Tuple, error) {
	out := &pb.Tuple{Proto: strings.ToLower(args[0]), Zone: uint32(t.zone)}
	for i, into := range []struct {
		addr *string
		port *uint32
	}{{&out.Src, &out.SrcPort}, {&out.Dst, &out.DstPort}} {
		ap, err := addrPort(args[i+1])
		if err != nil {
			return nil, &usageError{err}
		}
		*into.addr, *into.port = ap.Addr().String(), uint32(ap.Port())
	}
	return out, nil
}

func addrPort(s string) (netip.AddrPort, error) {
	ap, err := netip.ParseAddrPort(s)
	if err == nil {
		return ap, nil
	}
	if a, err := netip.ParseAddr(s); err == nil {
		want := a.String()
		if a.Is6() {
			want = "[" + want + "]"
		}
		return ap, fmt.Errorf("%q has no port; write %s:443", s, want)
	}
	// An IPv6 address whose brackets were left out, with its port behind it.
	if i := strings.LastIndexByte(s, ':'); i > 0 {
		if a, err := netip.ParseAddr(s[:i]); err == nil && a.Is6() {
			return ap, fmt.Errorf("%q is no address and port; write %s", s, net.JoinHostPort(s[:i], s[i+1:]))
		}
		if _, err := netip.ParseAddr(strings.Trim(s[:i], "[]")); err == nil {
			if n, err := strconv.Atoi(s[i+1:]); err != nil || n < 0 || n > 65535 {
				return ap, fmt.Errorf("%q: port %q is no number from 1 to 65535", s, s[i+1:])
			}
		}
	}
	return ap, fmt.Errorf("%q is no address and port; write 192.0.2.1:443 or [2001:db8::1]:443", s)
}
