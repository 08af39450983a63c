package rpc

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/offload"
	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

// TestWords holds each enum of the API against the closed list that it stands
// for: the same words, none more and none less, spelled alike.
func TestWords(t *testing.T) {
	for _, tc := range []struct {
		prefix string
		enum   protoreflect.EnumDescriptor
		words  []string
	}{
		{"STATE_", pb.State(0).Descriptor(), stringsOf(flow.States())},
		{"REASON_", pb.Reason(0).Descriptor(), stringsOf(flow.AllReasons())},
		{"CAUSE_", pb.Cause(0).Descriptor(), stringsOf(flow.Causes())},
		{"RULE_STATE_", pb.RuleState(0).Descriptor(), every[offload.RuleState]()},
		{"ERROR_KIND_", pb.ErrorKind(0).Descriptor(), stringsOf(hwif.Kinds())},
		{"INTENT_KIND_", pb.IntentKind(0).Descriptor(), every[offload.IntentKind]()[1:]},
		{"LEARNT_", pb.Learnt(0).Descriptor(), every[flow.Learnt]()},
		{"VERDICT_", pb.Verdict(0).Descriptor(), every[flow.Verdict]()},
		{"PORT_KIND_", pb.PortKind(0).Descriptor(), every[hwif.PortKind]()},
	} {
		t.Run(string(tc.enum.Name()), func(t *testing.T) {
			var got []string
			for i := range tc.enum.Values().Len() {
				name := string(tc.enum.Values().Get(i).Name())
				if word := strings.ToLower(strings.TrimPrefix(name, tc.prefix)); word != "unspecified" {
					got = append(got, word)
				}
			}
			slices.Sort(got)
			slices.Sort(tc.words)
			if !slices.Equal(got, tc.words) {
				t.Errorf("the API has %v\nthe engine has %v", got, tc.words)
			}
		})
	}
}

// every asks values from 0 up for their words until one has none that is new:
// so a constant added to the list shows, although nothing exports its length.
func every[T interface {
	~uint8
	fmt.Stringer
}]() (words []string) {
	defer func() { _ = recover() }() // a word list that ends in an index out of range
	for v := T(0); v < 255; v++ {
		if w := v.String(); !slices.Contains(words, w) && w != "unknown" {
			words = append(words, w)
		} else {
			return words
		}
	}
	return words
}

func stringsOf[T fmt.Stringer](all []T) (out []string) {
	for _, v := range all {
		out = append(out, v.String())
	}
	return out
}

// TestTables finds a Go value that its table maps to nothing, or two to one.
func TestTables(t *testing.T) {
	mapped(t, flow.States(), stateEnum)
	mapped(t, flow.AllReasons(), reasonEnum)
	mapped(t, flow.Causes(), causeEnum)
	mapped(t, ruleStates, ruleEnum)
	mapped(t, hwif.Kinds(), kindEnum)
	mapped(t, intentKinds, intentEnum)
	mapped(t, portKinds, portEnum)
	if len(ruleStates) != len(every[offload.RuleState]()) || len(portKinds) != len(every[hwif.PortKind]()) ||
		len(sources) != int(flow.NumSources) {
		t.Error("a list in words.go lacks a value")
	}
	if len(counterEnum) != len(pb.CounterKind_name)-1 {
		t.Error("counterEnum lacks a kind")
	}
}

func mapped[T interface {
	~uint8
	fmt.Stringer
}, E ~int32](t *testing.T, all []T, table [256]E) {
	t.Helper()
	seen := map[E]bool{}
	for _, v := range all {
		if e := table[v]; e == 0 || seen[e] {
			t.Errorf("%T %s is mapped to %d", v, v, e)
		}
		seen[table[v]] = true
	}
}

// TestRefusals: each of the engine's refusals has a code.
func TestRefusals(t *testing.T) {
	for _, w := range every[offload.RefusalKind]() {
		if _, ok := code[w]; !ok {
			t.Errorf("refusal %q has no gRPC code; there are %v", w, slices.Sorted(maps.Keys(code)))
		}
	}
}
