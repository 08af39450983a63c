package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
)

// rules is what the router loads with `nft -f -`.
func rules(nat, dnat bool, lan string) string {
	masquerade := ""
	if dnat {
		masquerade = `
table ip lab_dnat {
	chain prerouting {
		type nat hook prerouting priority dstnat
		ip daddr ` + Server4.String() + ` dnat to ` + HopA.Addr4().String() + `
	}
}
`
	}
	if nat {
		masquerade += `
table ip lab_nat {
	chain postrouting {
		type nat hook postrouting priority srcnat
		oifname "` + WANPort + `" masquerade
	}
}
`
	}
	return `table inet lab {
	counter forwarded4 { }
	counter forwarded6 { }
	counter invalid { }
	chain forward {
		type filter hook forward priority filter; policy drop
		ct state invalid counter name invalid drop
		meta nfproto ipv4 counter name forwarded4
		meta nfproto ipv6 counter name forwarded6
		ct state established,related accept
		ct state new iifname "` + lan + `" accept
	}
}
` + masquerade
}

func (l *Lab) ruleset(ctx context.Context) error {
	_, lan := l.lanPorts()
	cmd := exec.CommandContext(ctx, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules(!l.opts.NoNAT, l.opts.DNAT, lan))
	_, err := l.Router.run(cmd)
	return err
}

// Count is a number of packets and bytes.
type Count struct{ Packets, Bytes uint64 }

// Forwarded is what the router's kernel has done, by its own forward chain.
type Forwarded struct {
	IPv4, IPv6 Count
	Invalid    Count // dropped because conntrack called them invalid
}

// Packets is the sum of both families.
func (f Forwarded) Packets() uint64 { return f.IPv4.Packets + f.IPv6.Packets }

// Forwarded reads the counters of the router's forward chain.
func (l *Lab) Forwarded(ctx context.Context) (Forwarded, error) {
	out, err := l.Router.Run(ctx, "nft", "-j", "list", "counters", "table", "inet", "lab")
	if err != nil {
		return Forwarded{}, err
	}
	return parseCounters([]byte(out))
}

func parseCounters(text []byte) (f Forwarded, err error) {
	var doc struct {
		Nftables []struct {
			Counter *struct {
				Name    string `json:"name"`
				Packets uint64 `json:"packets"`
				Bytes   uint64 `json:"bytes"`
			} `json:"counter"`
		} `json:"nftables"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return f, fmt.Errorf("read nft's counters: %w", err)
	}
	into := map[string]*Count{"forwarded4": &f.IPv4, "forwarded6": &f.IPv6, "invalid": &f.Invalid}
	for _, o := range doc.Nftables {
		if o.Counter == nil {
			continue
		}
		if c := into[o.Counter.Name]; c != nil {
			*c = Count{o.Counter.Packets, o.Counter.Bytes}
			delete(into, o.Counter.Name)
		}
	}
	if len(into) > 0 {
		return f, fmt.Errorf("read nft's counters: %d of 3 are missing", len(into))
	}
	return f, nil
}
