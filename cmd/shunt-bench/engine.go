package main

import (
	"context"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

func engineCommand() *cobra.Command {
	var flows, events, rounds int
	cmd := &cobra.Command{
		Use:   "engine",
		Short: "Synthetic flows through the engine and the in-memory NIC, on one core",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if flows < 64 || events < 64 || rounds < 1 {
				return fmt.Errorf("flows %d, events %d, rounds %d: want 64, 64 and 1 at least", flows, events, rounds)
			}
			return benchEngine(cmd.Context(), flows, events, rounds)
		},
	}
	cmd.Flags().IntVar(&flows, "flows", 100_000, "in hardware at once")
	cmd.Flags().IntVar(&events, "events", 2_000_000, "conntrack events per round, for flows in hardware")
	cmd.Flags().IntVar(&rounds, "rounds", 3, "measurements; the median counts")
	return cmd
}

func benchEngine(ctx context.Context, flows, events, rounds int) error {
	var bytes, device, updates, updateAllocs, lives, lifeAllocs []float64
	for range rounds {
		before := heap()
		h, err := newHost(ctx, flows)
		if err != nil {
			return err
		}
		if err := h.fill(ctx, flows); err != nil {
			return err
		}
		all := float64(heap()-before) / float64(flows)
		card := h.deviceBytes(flows)
		rate, allocs := h.updates(events)
		life, lifeAlloc, err := h.churn(ctx, flows)
		if err != nil {
			return err
		}
		fmt.Printf("round: %.0f bytes per flow and %.0f of the NIC's; %.0f events/s, %.3f allocations each; %.0f whole lives of flows/s, %.1f allocations each\n",
			all-card, card, rate, allocs, life, lifeAlloc)
		bytes, device = append(bytes, all-card), append(device, card)
		updates, updateAllocs = append(updates, rate), append(updateAllocs, allocs)
		lives, lifeAllocs = append(lives, life), append(lifeAllocs, lifeAlloc)
	}
	fmt.Printf("figure events_per_second %.0f 1/s\n", median(updates))
	fmt.Printf("figure event_allocs %.3f allocs/event\n", median(updateAllocs))
	fmt.Printf("figure bytes_per_flow %.0f B\n", median(bytes))
	fmt.Printf("figure device_bytes_per_flow %.0f B\n", median(device))
	fmt.Printf("figure flow_lives_per_second %.0f 1/s\n", median(lives))
	fmt.Printf("figure flow_life_allocs %.2f allocs/flow\n", median(lifeAllocs))
	return nil
}

// heap is what is reachable, in bytes.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what finalizers let go
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
