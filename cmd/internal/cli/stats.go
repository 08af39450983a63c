package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

func (a *app) stats() *cobra.Command {
	return &cobra.Command{
		Use:     "stats",
		Short:   "Show how much is in hardware, and what keeps the rest out",
		Long:    "Show how much is in hardware, what keeps the rest out, and what was taken out why.\nCounters are since the daemon's start.",
		Example: "  shuntctl stats",
		Args:    exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.call(cmd.Context(), func(ctx context.Context, c *client) error {
				r, err := c.GetStats(ctx, &pb.GetStatsRequest{})
				if err != nil {
					return err
				}
				if a.output == asJSON {
					return printJSON(a.out, r)
				}
				a.printStats(a.out, r)
				return nil
			})
		},
	}
}

func (a *app) printStats(w io.Writer, r *pb.GetStatsResponse) {
	st := r.GetStats()
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(w, "%-10s %s\n", name, text)
		}
	}
	line("shuntd", fmt.Sprintf("%s, up %s", r.GetVersion(), since(r.GetStartedAt(), r.GetAsOf())))
	if st.GetPaused() {
		line("paused", a.screen.paint(yellow, or(r.GetPaused(), "yes")))
	}
	line("flows", tallied(fmt.Sprintf("%d tracked", st.GetTracked()), tally(st.GetFlows(), func(c *pb.StateCount) string { return stateWord(c.GetState()) })))
	line("hardware", fmt.Sprintf("%s rules, %d installed, %d adopted, %d ghosts removed",
		occupancy(st.GetRulesInHw(), st.GetRulesLimit()), st.GetInstalls(), st.GetAdopted(), st.GetGhosts()))
	line("forwarded", forwarded(st.GetNic(), st.GetKernel()))
	if d := st.GetNicDrops(); d.GetPackets() > 0 {
		line("dropped", fmt.Sprintf("NIC %s packets %s bytes", count(d.GetPackets()), count(d.GetBytes())))
	}
	line("software", tally(st.GetNotOffloaded(), func(c *pb.ReasonCount) string { return word(c.GetReason(), "REASON_") }))
	line("removed", tally(st.GetRemovals(), removalText))
	if n := st.GetRulesets(); n > 0 {
		line("rulesets", fmt.Sprintf("%d changes of netfilter's rules", n))
	}
	errorWord := func(c *pb.ErrorCount) string { return word(c.GetKind(), "ERROR_KIND_") }
	line("refused", tally(st.GetRefusals(), errorWord))
	line("failed", tally(st.GetRuleErrors(), errorWord))
	line("intents", fmt.Sprintf("%d pins, %d denials", st.GetPins(), st.GetDenials()))
	line("latency", latency(st.GetLatency()))
	for _, s := range st.GetSources() {
		line(s.GetSource(), fmt.Sprintf("%s, %d listings, %d losses", yes(s.GetSynced(), "synced", "not synced yet"), s.GetListings(), s.GetLosses()))
	}
	line("events", tally(st.GetEvents(), func(c *pb.EventCount) string { return c.GetEvent() }))
}

// removalText is a cause, and how soon after it nearly all of its flows were out.
func removalText(c *pb.CauseCount) string {
	s := causeWord(c.GetCause())
	if c.GetLatency().GetCount() > 0 {
		s += " (99% out within " + quantile(c.GetLatency(), 0.99) + ")"
	}
	return s
}

func tally[C interface{ GetCount() uint64 }](cs []C, name func(C) string) string {
	parts := make([]string, len(cs))
	for i, c := range cs {
		parts[i] = fmt.Sprintf("%d %s", c.GetCount(), name(c))
	}
	return strings.Join(parts, ", ")
}

func tallied(total, parts string) string {
	if parts == "" {
		return total
	}
	return total + ": " + parts
}

func forwarded(nic, kernel *pb.Counter) string {
	s := fmt.Sprintf("NIC %s packets %s bytes, kernel %s packets %s bytes",
		count(nic.GetPackets()), count(nic.GetBytes()), count(kernel.GetPackets()), count(kernel.GetBytes()))
	if all := nic.GetPackets() + kernel.GetPackets(); all > 0 {
		s += fmt.Sprintf(" (%.1f%% of packets by the NIC)", 100*float64(nic.GetPackets())/float64(all))
	}
	return s
}

// latency says from which bound on half and 99 of 100 samples lie below.
func latency(h *pb.Histogram) string {
	if h.GetCount() == 0 {
		return ""
	}
	return fmt.Sprintf("event to hardware: half within %s, 99%% within %s, mean %s, %d samples",
		quantile(h, 0.5), quantile(h, 0.99), short(h.GetSum().AsDuration()/time.Duration(h.GetCount())), h.GetCount())
}

func quantile(h *pb.Histogram, q float64) string {
	var sum uint64
	for i, n := range h.GetCounts() {
		if sum += n; float64(sum) >= q*float64(h.GetCount()) && i < len(h.GetBounds()) {
			return short(h.GetBounds()[i].AsDuration())
		}
	}
	if n := len(h.GetBounds()); n > 0 {
		return "more than " + short(h.GetBounds()[n-1].AsDuration())
	}
	return none
}

// short prints a time of microseconds to seconds.
func short(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}
