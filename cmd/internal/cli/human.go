package cli

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

// none stands in a cell that has nothing to say.
const none = "-"

// count prints a number with three digits and a decimal unit: 999, 1.23k, 45.6M.
func count(n uint64) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	v := float64(n)
	for _, unit := range "kMGTPE" {
		v /= 1000
		switch {
		case v < 9.995:
			return fmt.Sprintf("%.2f%c", v, unit)
		case v < 99.95:
			return fmt.Sprintf("%.1f%c", v, unit)
		case v < 999.5:
			return fmt.Sprintf("%.0f%c", v, unit)
		}
	}
	return fmt.Sprint(n)
}

// span prints a time with its two largest units: 350ms, 4.2s, 3m12s, 5h04m, 9d3h.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Truncate(100*time.Millisecond).Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}

// since is how long before asOf t was.
func since(t, asOf *timestamppb.Timestamp) string {
	if t == nil || asOf == nil {
		return none
	}
	return span(asOf.AsTime().Sub(t.AsTime()))
}

func age(d *durationpb.Duration) string {
	if d == nil {
		return none
	}
	return span(d.AsDuration())
}

func ago(d *durationpb.Duration) string {
	if d == nil {
		return "never"
	}
	return age(d) + " ago"
}

// word is an enum's value as the engine spells it: STATE_ACTIVE is active.
func word[E interface{ String() string }](v E, prefix string) string {
	return strings.ToLower(strings.TrimPrefix(v.String(), prefix))
}

func stateWord(s pb.State) string { return word(s, "STATE_") }
func causeWord(c pb.Cause) string { return word(c, "CAUSE_") }

func reasonWords(rs []pb.Reason) string {
	words := make([]string, len(rs))
	for i, r := range rs {
		words[i] = word(r, "REASON_")
	}
	return strings.Join(words, ",")
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
