package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	shuntv1 "github.com/shunt-offload/shunt/proto/shunt/v1"
	"github.com/shunt-offload/shunt/sim/lab"
)

// List gives the flows that match a filter.
func (d *Daemon) List(ctx context.Context, filter string) ([]*shuntv1.Flow, error) {
	stream, err := d.Flows.ListFlows(ctx, &shuntv1.ListFlowsRequest{Filter: filter})
	if err != nil {
		return nil, fmt.Errorf("list flows: %w", err)
	}
	var all []*shuntv1.Flow
	for {
		res, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list flows: %w", err)
		}
		all = append(all, res.Flows...)
	}
}

// API gives the tuple of a transfer's original direction.
func (t *Transfer) API() *shuntv1.Tuple {
	return &shuntv1.Tuple{
		Proto: t.Proto, Src: lab.Client(t.Version).String(), Dst: lab.Server(t.Version).String(),
		SrcPort: uint32(t.Port), DstPort: ServerPort,
	}
}

// Get gives the transfer's flow as the daemon sees it.
func (d *Daemon) Get(ctx context.Context, t *Transfer) (*shuntv1.Flow, error) {
	res, err := d.Flows.GetFlow(ctx, &shuntv1.GetFlowRequest{Tuple: t.API()})
	if err != nil {
		return nil, err
	}
	return res.Flow, nil
}

// Await waits until the transfer's flow satisfies ok, and gives it as it was
// then. The time is a bound for a broken daemon, not a claim.
func (d *Daemon) Await(ctx context.Context, t *Transfer, what string, ok func(*shuntv1.Flow) bool) (*shuntv1.Flow, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var last *shuntv1.Flow
	var lastErr error
	for {
		f, err := d.Get(ctx, t)
		if err == nil && ok(f) {
			return f, nil
		}
		if err != nil {
			lastErr = err
		} else {
			last, lastErr = f, nil
		}
		select {
		case <-d.proc.Ended():
			return last, fmt.Errorf("%s: shuntd has ended while waiting for: %s\n%s", t, what, d.Tail(20))
		case <-ctx.Done():
			return last, fmt.Errorf("%s: waited for: %s; %w; now %s", t, what, errors.Join(ctx.Err(), lastErr), Describe(last))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Active is a condition for Await: both rules are in hardware and packets have
// been counted there.
func Active(f *shuntv1.Flow) bool { return f.State == shuntv1.State_STATE_ACTIVE }

// InKernel is a condition for Await: no rule of the flow is in hardware.
func InKernel(f *shuntv1.Flow) bool { return !InNIC(f.Orig) && !InNIC(f.Reply) }

// InNIC reports whether a direction's rule may forward packets.
func InNIC(d *shuntv1.Direction) bool {
	switch d.GetRule() {
	case shuntv1.RuleState_RULE_STATE_SENT, shuntv1.RuleState_RULE_STATE_IN_HW, shuntv1.RuleState_RULE_STATE_LEAVING:
		return true
	}
	return false
}

// NIC sums what hardware has forwarded of a flow; Kernel, what the kernel has.
func NIC(f *shuntv1.Flow) lab.Count {
	return lab.Count{
		Packets: f.GetOrig().GetNic().GetPackets() + f.GetReply().GetNic().GetPackets(),
		Bytes:   f.GetOrig().GetNic().GetBytes() + f.GetReply().GetNic().GetBytes(),
	}
}

// Kernel is conntrack's own account of a flow.
func Kernel(f *shuntv1.Flow) lab.Count {
	return lab.Count{
		Packets: f.GetOrig().GetKernel().GetPackets() + f.GetReply().GetKernel().GetPackets(),
		Bytes:   f.GetOrig().GetKernel().GetBytes() + f.GetReply().GetKernel().GetBytes(),
	}
}

// Left reports whether the flow has left hardware for the cause.
func Left(f *shuntv1.Flow, cause shuntv1.Cause) bool {
	return slices.ContainsFunc(f.GetHistory(), func(c *shuntv1.Change) bool { return c.Cause == cause })
}

// StateWord is a state as logs spell it.
func StateWord(s shuntv1.State) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "STATE_"))
}

// ReasonWords are reasons as logs spell them.
func ReasonWords(rs []shuntv1.Reason) string {
	words := make([]string, len(rs))
	for i, r := range rs {
		words[i] = strings.ToLower(strings.TrimPrefix(r.String(), "REASON_"))
	}
	return strings.Join(words, " ")
}

// Describe says where a flow is, for messages.
func Describe(f *shuntv1.Flow) string {
	if f == nil {
		return "unknown to shuntd"
	}
	s := StateWord(f.State)
	if w := ReasonWords(f.Reasons); w != "" {
		s += " " + w
	}
	if f.Text != "" {
		s += " " + strconv.Quote(f.Text)
	}
	n, k := NIC(f), Kernel(f)
	return fmt.Sprintf("%s, rules %s and %s, %d packets by the NIC, %d by the kernel; history: %s", s,
		ruleWord(f.Orig), ruleWord(f.Reply), n.Packets, k.Packets, History(f))
}

func ruleWord(d *shuntv1.Direction) string {
	return strings.ToLower(strings.TrimPrefix(d.GetRule().String(), "RULE_STATE_"))
}

// History is what the flow went through, oldest first.
func History(f *shuntv1.Flow) string {
	var b strings.Builder
	for i, c := range f.GetHistory() {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(c.At.AsTime().Format("05.000 ") + StateWord(c.State))
		if c.Cause != shuntv1.Cause_CAUSE_UNSPECIFIED {
			b.WriteString(" " + strings.ToLower(strings.TrimPrefix(c.Cause.String(), "CAUSE_")))
		}
		if c.Text != "" {
			b.WriteString(" " + strconv.Quote(c.Text))
		}
	}
	return b.String()
}
