package hwif_test

import (
	"context"
	"errors"
	"iter"
	"testing"
	"time"

	"github.com/shunt-offload/shunt/hwif"
)

// scripted is a device whose answers are a function.
type scripted struct {
	caps    hwif.Caps
	answer  func(op *hwif.Op) *hwif.Result // nil leaves the result open
	batches [][]hwif.Op
}

func (d *scripted) Caps() hwif.Caps                            { return d.caps }
func (d *scripted) Ports(context.Context) ([]hwif.Port, error) { return nil, nil }
func (d *scripted) Close(bool) error                           { return nil }
func (d *scripted) Rules(context.Context) iter.Seq2[hwif.Installed, error] {
	return func(func(hwif.Installed, error) bool) {}
}
func (d *scripted) Counters(_ context.Context, into []hwif.Counted) ([]hwif.Counted, error) {
	return into, nil
}
func (d *scripted) Apply(_ context.Context, ops []hwif.Op, results []hwif.Result) {
	d.batches = append(d.batches, append([]hwif.Op(nil), ops...))
	for i := range ops {
		if res := d.answer(&ops[i]); res != nil {
			results[i] = *res
		}
	}
}

func inHW(*hwif.Op) *hwif.Result { return &hwif.Result{Presence: hwif.InHW} }

func installs(n int) []hwif.Op {
	ops := make([]hwif.Op, n)
	for i := range ops {
		ops[i].Rule = flowRule()
		ops[i].Rule.Cookie = hwif.NewCookie(uint64(i+1), 0)
		ops[i].Rule.Match.SrcPort = uint16(i + 1)
	}
	return ops
}

func TestNICBatches(t *testing.T) {
	for _, batch := range []int{-1, 0, 1, 3, 100} {
		caps := everything()
		caps.Batch = batch
		d := &scripted{caps: caps, answer: inHW}
		ops := installs(10)
		results := make([]hwif.Result, 10)
		hwif.NewNIC(d, hwif.NICOptions{}).Apply(context.Background(), ops, results)
		var sent []hwif.Op
		for _, b := range d.batches {
			if len(b) > max(1, batch) {
				t.Errorf("batch of %d with Batch %d", len(b), batch)
			}
			sent = append(sent, b...)
		}
		for i := range ops {
			if len(sent) != 10 || sent[i] != ops[i] || results[i].Err != nil {
				t.Fatalf("Batch %d: sent %d operations, result %d: %v", batch, len(sent), i, results[i].Err)
			}
		}
	}
}

// TestNICChecks: what the device cannot express is never sent, and the answers of
// the others stay in their places. Removals are not checked.
func TestNICChecks(t *testing.T) {
	caps := everything()
	caps.Batch, caps.Actions = 2, caps.Actions.Without(hwif.ActIPDst)
	d := &scripted{caps: caps, answer: func(op *hwif.Op) *hwif.Result {
		if op.Rule.Cookie.Gen() == 4 {
			return &hwif.Result{Err: hwif.ErrBusy}
		}
		return &hwif.Result{Presence: hwif.InHW, Final: hwif.Counter{Packets: op.Rule.Cookie.Gen()}}
	}}
	ops := installs(6)
	for _, i := range []int{1, 2, 5} {
		ops[i].Rule.Actions.Set |= hwif.ActionsOf(hwif.ActIPDst)
	}
	ops[5].Kind = hwif.OpRemove
	results := make([]hwif.Result, 6)
	results[1] = hwif.Result{Presence: hwif.InHW} // left from before
	hwif.NewNIC(d, hwif.NICOptions{}).Apply(context.Background(), ops, results)
	for i, want := range []hwif.Kind{0, hwif.KindUnsupported, hwif.KindUnsupported, hwif.KindBusy, 0, 0} {
		res := results[i]
		switch {
		case (res.Err != nil) != (want != 0) || res.Err != nil && hwif.KindOf(res.Err) != want:
			t.Errorf("result %d: %v, want kind %s", i, res.Err, want)
		case res.Err == nil && res.Final.Packets != uint64(i+1):
			t.Errorf("result %d is another operation's: %+v", i, res)
		case res.Err != nil && res.Presence != hwif.PresenceUnknown:
			t.Errorf("result %d: presence %s beside an error", i, res.Presence)
		}
	}
	for _, b := range d.batches {
		for _, op := range b {
			if op.Kind == hwif.OpInstall && op.Rule.Actions.Set.Has(hwif.ActIPDst) {
				t.Errorf("sent: %s", &op.Rule)
			}
		}
	}
}

// TestNICTakesBack: "accepted" is not "in hardware". Such a rule is removed again
// and reported, with what the removal said.
func TestNICTakesBack(t *testing.T) {
	stuck := errors.New("stuck")
	for _, p := range []hwif.Presence{hwif.NotInHW, hwif.PresenceUnknown} {
		for _, undo := range []error{nil, stuck} {
			d := &scripted{caps: everything(), answer: func(op *hwif.Op) *hwif.Result {
				if op.Kind == hwif.OpRemove {
					return &hwif.Result{Err: undo}
				}
				return &hwif.Result{Presence: p}
			}}
			ops, results := installs(1), make([]hwif.Result, 1)
			hwif.NewNIC(d, hwif.NICOptions{}).Apply(context.Background(), ops, results)
			var e *hwif.Error
			if !errors.As(results[0].Err, &e) || e.Kind != hwif.KindUnsupported || e.Field != p.String() || !errors.Is(e.Err, undo) {
				t.Errorf("%s, undone with %v: %v", p, undo, results[0].Err)
			}
			if len(d.batches) != 2 || d.batches[1][0].Kind != hwif.OpRemove || d.batches[1][0].Rule != ops[0].Rule {
				t.Errorf("%s: sent %v", p, d.batches)
			}
		}
	}
}

// TestNICNoAnswer: a driver that leaves a result open has not succeeded.
func TestNICNoAnswer(t *testing.T) {
	d := &scripted{caps: everything(), answer: func(*hwif.Op) *hwif.Result { return nil }}
	ops, results := installs(2), make([]hwif.Result, 2)
	ops[1].Kind = hwif.OpRemove
	hwif.NewNIC(d, hwif.NICOptions{}).Apply(context.Background(), ops, results)
	for i, res := range results {
		if res.Err == nil || hwif.KindOf(res.Err) != hwif.KindOther {
			t.Errorf("result %d: %v", i, res.Err)
		}
	}
}

func TestNICObserves(t *testing.T) {
	caps := everything()
	caps.Batch = 4
	now := time.Unix(0, 0)
	var counts []int
	var took time.Duration
	n := hwif.NewNIC(&scripted{caps: caps, answer: func(op *hwif.Op) *hwif.Result { now = now.Add(time.Second); return inHW(op) }},
		hwif.NICOptions{Clock: func() time.Time { return now }, Observe: func(ops int, d time.Duration) { counts, took = append(counts, ops), took+d }})
	n.Apply(context.Background(), installs(6), make([]hwif.Result, 6))
	if len(counts) != 2 || counts[0] != 4 || counts[1] != 2 || took != 6*time.Second {
		t.Errorf("batches %v took %s", counts, took)
	}
}

func BenchmarkNICApply(b *testing.B) {
	b.ReportAllocs()
	caps := everything()
	caps.Batch = 64
	res := hwif.Result{Presence: hwif.InHW}
	n := hwif.NewNIC(quiet{&scripted{caps: caps}, res}, hwif.NICOptions{})
	ops, results := installs(64), make([]hwif.Result, 64)
	for b.Loop() {
		n.Apply(context.Background(), ops, results)
	}
}

// quiet answers without noting.
type quiet struct {
	*scripted
	res hwif.Result
}

func (d quiet) Apply(_ context.Context, _ []hwif.Op, results []hwif.Result) {
	for i := range results {
		results[i] = d.res
	}
}
