package policy_test

import (
	"testing"
	"time"

	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/policy"
)

func TestThreshold(t *testing.T) {
	p := &policy.Threshold{MinPackets: 10, MinAge: 2 * time.Second, Ceiling: 5}
	second := flow.Time(time.Second)
	cases := []struct {
		name string
		in   policy.Input
		want policy.Verdict
	}{
		{"heavy and old enough", policy.Input{Packets: 10, Counted: true, Age: 2 * second}, policy.Verdict{Decision: policy.Offload}},
		{"few packets", policy.Input{Packets: 9, Counted: true, Age: 9 * second}, policy.Verdict{Reason: flow.BelowThreshold}},
		{"not counted", policy.Input{Age: 2 * second}, policy.Verdict{Decision: policy.Offload}},
		{"young", policy.Input{Packets: 99, Counted: true, Age: second / 2}, policy.Verdict{Reason: flow.BelowThreshold, Again: 3 * second / 2}},
		{"ceiling", policy.Input{Packets: 99, Counted: true, Age: 9 * second, Resident: 5}, policy.Verdict{Reason: flow.CeilingReached}},
	}
	for _, c := range cases {
		if got := p.Judge(&c.in); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
	if v := (policy.OnlyPinned{}).Judge(&policy.Input{Packets: 1 << 40, Counted: true}); v.Decision != policy.Never || v.Reason != flow.DisabledByPolicy {
		t.Errorf("only-pinned said %+v", v)
	}
}
