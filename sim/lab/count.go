package lab

import (
	"context"
	"fmt"
	"strings"
)

// Wire counts the frames on the client's cable in both directions, whoever
// forwarded them: c0's own statistics. It is the yardstick for the shares of
// kernel and NIC.
func (l *Lab) Wire() (Count, error) {
	link, err := l.Client.nl.LinkByName(ClientPort)
	if err != nil {
		return Count{}, fmt.Errorf("read statistics of %s: %w", ClientPort, err)
	}
	s := link.Attrs().Statistics
	if s == nil {
		return Count{}, fmt.Errorf("read statistics of %s: the kernel sent none", ClientPort)
	}
	return Count{s.RxPackets + s.TxPackets, s.RxBytes + s.TxBytes}, nil
}

// Conntrack lists the router's conntrack entries that match the arguments of
// `conntrack -L`, one line each.
func (l *Lab) Conntrack(ctx context.Context, args ...string) ([]string, error) {
	out, err := l.Router.Run(ctx, "conntrack", append([]string{"-L"}, args...)...)
	if err != nil {
		return nil, err
	}
	var lines []string
	for line := range strings.Lines(out) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines, nil
}

// Received counts the frames that have arrived at a next hop.
func (l *Lab) Received(h Hop) (uint64, error) {
	link, err := l.Server.nl.LinkByName(h.Port())
	if err != nil {
		return 0, fmt.Errorf("read statistics of %s: %w", h.Port(), err)
	}
	if s := link.Attrs().Statistics; s != nil {
		return s.RxPackets, nil
	}
	return 0, fmt.Errorf("read statistics of %s: the kernel sent none", h.Port())
}
