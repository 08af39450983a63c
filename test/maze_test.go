//go:build netns || vm

package e2e

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	shuntv1 "github.com/shunt-offload/shunt/proto/shunt/v1"
	"github.com/shunt-offload/shunt/sim/lab/maze"
	"github.com/shunt-offload/shunt/sim/rig"
)

// number reads a number from the environment.
func number(t *testing.T, key string, def uint64) uint64 {
	t.Helper()
	text := os.Getenv(key)
	if text == "" {
		return def
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s=%s is no number: %v", key, text, err)
	}
	return n
}

// walk is a run through a maze.
type walk struct {
	*testing.T
	m     *maze.Maze
	d     *rig.Daemon
	seed  uint64
	steps []*maze.Step

	mismatches, transients int
	seen                   map[string]int // frames of flows in the NIC by what their routes rest on
	probes, inNIC          uint64         // frames that the kernel forwards, and those of them whose flow was in the NIC
	why                    map[string]int // reasons of the others
}

// journey is how a walk goes, unless the environment says otherwise.
type journey struct {
	maze   maze.Options
	driver string
	steps  int
	settle time.Duration
}

// roam builds a maze and walks through it.
func roam(t *testing.T, j journey) {
	t.Helper()
	j.maze.Seed = 1 // as part of all tests, always the same one
	if _, asked := os.LookupEnv("SEED"); asked {
		j.maze.Seed = number(t, "SEED", 0)
	}
	if j.maze.Seed == 0 {
		j.maze.Seed = uint64(time.Now().UnixNano() % 1e9)
	}
	steps := int(number(t, "STEPS", uint64(j.steps)))
	settle := time.Duration(number(t, "SETTLE", uint64(j.settle.Milliseconds()))) * time.Millisecond
	t.Logf("SEED=%d STEPS=%d", j.maze.Seed, steps)
	m, err := maze.New(t.Context(), j.maze)
	if err != nil {
		t.Fatal(err)
	}
	w := &walk{T: t, m: m, seed: j.maze.Seed, why: map[string]int{}, seen: map[string]int{}}
	s := &stage{T: t, Lab: m.Lab, dir: t.TempDir()}
	t.Cleanup(func() { m.Close(); s.keepLogs() })
	var ports []string
	for i := range maze.Ports {
		ports = append(ports, maze.Port(i))
	}
	s.daemon(rig.DaemonOptions{Driver: j.driver, Ports: ports, LogLevel: logLevel(), Recheck: time.Hour})
	w.d = s.d
	w.warmUp()
	for n := range steps {
		if n > 0 && n%50 == 0 {
			fmt.Printf("step %d: %d mismatches, %d of %d frames by the NIC\n", n, w.mismatches, w.inNIC, w.probes)
		}
		w.step(n, settle)
		if w.mismatches >= 3 {
			break
		}
	}
	w.sum(steps)
}

// sum prints what the walk came to, and holds it to have tried something.
func (w *walk) sum(steps int) {
	w.Helper()
	fmt.Printf("in the NIC: %v\n", w.seen)
	share := 100 * float64(w.inNIC) / float64(max(w.probes, 1))
	fmt.Printf("steps taken:%s\nforwarded by the kernel, and not in the NIC: %v\n", w.m.Taken(), w.why)
	fmt.Printf("figure route_steps %d steps\nfigure route_mismatches %d flows\nfigure route_transients %d flows\nfigure route_probes_in_nic %.1f %%\n",
		len(w.steps), w.mismatches, w.transients, share)
	if share < 20 {
		w.Errorf("only %.1f %% of %d frames were the NIC's: this run proves little", share, w.probes)
	}
	if steps < 1000 {
		return
	}
	for _, name := range []string{"learnt from packets", "multipath", "by mark", "asymmetric", "bridged"} {
		if w.seen[name] == 0 {
			w.Errorf("no frame of a flow in the NIC was %s: this run proves nothing about them", name)
		}
	}
	if u := w.m.Untaken(); len(u) > 0 {
		w.Errorf("the kernel never took a step of kind %v", u)
	}
}

// logLevel is that of the daemon: a debug log of a long walk is very long.
func logLevel() string {
	if l := os.Getenv("SHUNT_LOG_LEVEL"); l != "" {
		return l
	}
	return "info"
}

// warmUp has the flows established and in hardware.
func (w *walk) warmUp() {
	w.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		if _, err := w.m.Probe(); err != nil {
			w.Fatal(err)
		}
		in := 0
		for _, f := range w.flows() {
			if rig.Active(f) {
				in++
			}
		}
		if in == len(w.m.Flows) {
			return
		}
		if time.Now().After(end) {
			out := ""
			for _, f := range w.flows() {
				out += rig.Describe(f) + "\n"
			}
			w.Fatalf("only %d of %d flows are in the NIC:\n%s", in, len(w.m.Flows), out)
		}
	}
}

func (w *walk) flows() []*shuntv1.Flow {
	w.Helper()
	fs, err := w.d.List(w.Context(), "")
	if err != nil {
		w.Fatal(err)
	}
	return fs
}

// nic is how many packets hardware has forwarded of each flow, by client port.
func (w *walk) nic() map[uint32]*shuntv1.Flow {
	out := map[uint32]*shuntv1.Flow{}
	for _, f := range w.flows() {
		key := f.Orig.Tuple.SrcPort
		if strings.Contains(f.Orig.Tuple.Src, ":") {
			key += 1 << 16
		}
		out[key] = f
	}
	return out
}

func (w *walk) step(n int, settle time.Duration) {
	w.Helper()
	s, err := w.m.Step(n)
	if err != nil {
		w.Fatal(err)
	}
	w.steps = append(w.steps, s)
	time.Sleep(settle)
	before := w.nic()
	all, err := w.m.Probe()
	if err != nil {
		w.Fatal(err)
	}
	bad := differing(all)
	if len(bad) > 0 {
		// Timers of the kernel's own run on, and the first packet may be treated in its
		// own way: a neighbour that fails between the two frames is no fault. A difference
		// that lasts, whichever frame comes first, is.
		time.Sleep(settle)
		again, err := w.m.ProbeBack()
		if err != nil {
			w.Fatal(err)
		}
		lasting := differing(again)
		w.transients += len(bad)
		for name, text := range lasting {
			if _, both := bad[name]; !both {
				continue
			}
			w.mismatches++
			w.Errorf("SEED=%d, after step %d: %s", w.seed, n, text)
		}
		if w.mismatches > 0 {
			w.explain(before)
		}
	}
	for _, r := range all {
		if len(r.Kernel) != 1 {
			continue
		}
		w.probes++
		key := uint32(r.Flow.Client.Port())
		if r.Flow.Client.Addr().Is6() {
			key += 1 << 16
		}
		switch f := before[key]; {
		case f == nil:
			w.why["no flow"]++
		case rig.InNIC(f.Orig) && rig.InNIC(f.Reply):
			w.inNIC++
			w.note(f)
		default:
			text := f.Text
			if len(text) > 25 && !strings.Contains(text, "seen leaving") {
				text = text[len(text)-25:]
			}
			w.why[rig.ReasonWords(f.Reasons)+" "+text]++
		}
	}
}

// note counts a frame of a flow that the tables alone would not have let in.
func (w *walk) note(f *shuntv1.Flow) {
	o, r := f.Orig.Route, f.Reply.Route
	for name, is := range map[string]bool{
		"learnt from packets": o.GetLearnt() == shuntv1.Learnt_LEARNT_PACKET && r.GetLearnt() == shuntv1.Learnt_LEARNT_PACKET,
		"multipath":           o.GetLegs()+r.GetLegs() != 0, "by mark": o.GetMark()+r.GetMark() != 0, "bridged": o.GetOutL3Ifindex() != o.GetOutIfindex(),
		"of a VRF": o.GetInVrfIfindex()+r.GetInVrfIfindex() != 0, "asymmetric": o.GetOutIfindex() != r.GetInIfindex(),
	} {
		if is {
			w.seen[name]++
		}
	}
}

func differing(all []maze.Result) map[string]string {
	out := map[string]string{}
	for i := range all {
		if d := all[i].Differs(); d != "" {
			out[all[i].Flow.Name+strconv.FormatBool(all[i].Reply)] = d
		}
	}
	return out
}

// explain says what led to a mismatch.
func (w *walk) explain(before map[uint32]*shuntv1.Flow) {
	w.Helper()
	for _, s := range w.steps[max(0, len(w.steps)-14):] {
		w.Log(s.String())
	}
	for _, k := range slices.Sorted(mapKeys(before)) {
		w.Logf("before: %s", rig.Describe(before[k]))
	}
}

func mapKeys[V any](m map[uint32]V) func(func(uint32) bool) {
	return func(yield func(uint32) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}
