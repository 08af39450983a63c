package hwiftest_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/shunt-offload/shunt/drivers/sim"
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/hwiftest"
	"github.com/shunt-offload/shunt/sim"
)

// mutant is a sound device with one thing wrong. catch is the subtest that must
// fail for it.
type mutant struct {
	catch  string
	device func(d *mutated)                                                                       // what the device does wrong
	wire   func(h *hwiftest.Harness, sound injector) func(in hwif.Ifindex, b []byte) hwiftest.Out // what the pipeline does wrong
}

type injector func(in hwif.Ifindex, b []byte) hwiftest.Out

// mutated is a device of the simulated card with places to go wrong.
type mutated struct {
	hwif.Device
	card    *sim.NIC
	before  func(op *hwif.Op)
	after   func(op hwif.Op, res *hwif.Result)
	stop    bool // at the first error of a batch
	listing func(in *hwif.Installed)
	counts  func(c *hwif.Counted)
	caps    func(c *hwif.Caps)
	noFlush bool
}

func (d *mutated) Caps() hwif.Caps {
	c := d.Device.Caps()
	if d.caps != nil {
		d.caps(&c)
	}
	return c
}

func (d *mutated) Apply(ctx context.Context, ops []hwif.Op, results []hwif.Result) {
	for i := range ops {
		op := ops[i]
		if d.before != nil {
			d.before(&op)
		}
		d.Device.Apply(ctx, []hwif.Op{op}, results[i:i+1])
		if d.after != nil {
			d.after(op, &results[i])
		}
		if d.stop && results[i].Err != nil {
			return
		}
	}
}

func (d *mutated) Rules(ctx context.Context) iter.Seq2[hwif.Installed, error] {
	return func(yield func(hwif.Installed, error) bool) {
		for in, err := range d.Device.Rules(ctx) {
			if d.listing != nil {
				d.listing(&in)
			}
			if !yield(in, err) {
				return
			}
		}
	}
}

func (d *mutated) Counters(ctx context.Context, into []hwif.Counted) ([]hwif.Counted, error) {
	at := len(into)
	out, err := d.Device.Counters(ctx, into)
	for i := at; i < len(out) && d.counts != nil; i++ {
		d.counts(&out[i])
	}
	return out, err
}

func (d *mutated) Close(flush bool) error { return d.Device.Close(flush && !d.noFlush) }

// edited lets the sound pipeline see another frame than the one that entered.
func edited(edit func(h *hwiftest.Harness, in hwif.Ifindex, b []byte) []byte) func(*hwiftest.Harness, injector) func(hwif.Ifindex, []byte) hwiftest.Out {
	return func(h *hwiftest.Harness, sound injector) func(hwif.Ifindex, []byte) hwiftest.Out {
		return func(in hwif.Ifindex, b []byte) hwiftest.Out {
			out := sound(in, edit(h, in, bytes.Clone(b)))
			if out.Verdict == hwiftest.ToKernel {
				out.Frame = b
			}
			return out
		}
	}
}

// spoilt changes what leaves.
func spoilt(spoil func(b []byte)) func(*hwiftest.Harness, injector) func(hwif.Ifindex, []byte) hwiftest.Out {
	return func(_ *hwiftest.Harness, sound injector) func(hwif.Ifindex, []byte) hwiftest.Out {
		return func(in hwif.Ifindex, b []byte) hwiftest.Out {
			out := sound(in, b)
			if out.Verdict == hwiftest.Forwarded {
				spoil(out.Frame)
			}
			return out
		}
	}
}

func ipv4(b []byte) bool { return len(b) >= 54 && b[12] == 8 && b[13] == 0 && b[14] == 0x45 }

var mutants = map[string]mutant{
	"removes whatever has the match": {catch: "wrong_cookie", device: func(d *mutated) {
		d.before = func(op *hwif.Op) {
			for _, in := range d.card.Rules() {
				if op.Kind == hwif.OpRemove && in.Rule.Match == op.Rule.Match {
					op.Rule.Cookie = in.Rule.Cookie
				}
			}
		}
	}},
	"replaces instead of refusing": {catch: "exist", device: func(d *mutated) {
		d.before = func(op *hwif.Op) {
			for _, in := range d.card.Rules() {
				if op.Kind == hwif.OpInstall && in.Rule.Match == op.Rule.Match {
					_, _ = d.card.Remove(in.Rule)
				}
			}
		}
	}},
	"stops a batch at the first error": {catch: "mixed_batch", device: func(d *mutated) { d.stop = true }},
	"says full too late":               {catch: "table_full", device: func(d *mutated) { d.caps = func(c *hwif.Caps) { c.MaxRules-- } }},
	"calls every refusal busy": {catch: "no_such_port", device: func(d *mutated) {
		d.after = func(_ hwif.Op, res *hwif.Result) {
			if res.Err != nil {
				res.Err = hwif.ErrBusy
			}
		}
	}},
	"is not in hardware": {catch: "round_trip", device: func(d *mutated) {
		d.after = func(_ hwif.Op, res *hwif.Result) { res.Presence = hwif.NotInHW }
	}},
	"lists rules without their MTU": {catch: "round_trip", device: func(d *mutated) {
		d.listing = func(in *hwif.Installed) { in.Rule.Actions.MTU = 0 }
	}},
	"counts Ethernet headers": {catch: "counters", device: func(d *mutated) {
		d.counts = func(c *hwif.Counted) { c.Bytes += 14 * c.Packets }
	}},
	"lets unknown bits vanish": {catch: "unknown_bits", device: func(d *mutated) {
		d.before = func(op *hwif.Op) { op.Rule.Match.Fields &^= 1 << 31; op.Rule.Actions.Set &^= 1 << 31 }
	}},
	"takes actions that it does not have": {catch: "unsupported_by_name", device: func(d *mutated) {
		d.caps = func(c *hwif.Caps) { c.Actions = c.Actions.Without(hwif.ActIPSrc) }
	}},
	"leaves rules at the end": {catch: "close_flush", device: func(d *mutated) { d.noFlush = true }},
	"knows no MTU": {catch: "to_kernel", device: func(d *mutated) {
		d.before = func(op *hwif.Op) { op.Rule.Actions.MTU = 0 }
		d.listing = func(in *hwif.Installed) { in.Rule.Actions.MTU = 1500 }
	}},
	"answers before it has removed": {catch: "removed_is_gone", wire: func(_ *hwiftest.Harness, sound injector) func(hwif.Ifindex, []byte) hwiftest.Out {
		cache := map[string]hwiftest.Out{}
		return func(in hwif.Ifindex, b []byte) hwiftest.Out {
			key := fmt.Sprint(in, string(b))
			out := sound(in, b)
			if out.Verdict == hwiftest.Forwarded {
				cache[key] = out
			} else if old, ok := cache[key]; ok {
				delete(cache, key) // one frame too many
				return old
			}
			return out
		}
	}},
	"does not look at the MAC": {catch: "to_kernel", wire: edited(func(h *hwiftest.Harness, in hwif.Ifindex, b []byte) []byte {
		for _, p := range h.Ports {
			if p.Ifindex == in && len(b) >= 6 {
				copy(b, p.MAC[:])
			}
		}
		return b
	})},
	"does not look at SYN": {catch: "to_kernel", wire: edited(func(_ *hwiftest.Harness, _ hwif.Ifindex, b []byte) []byte {
		if ipv4(b) && b[23] == hwif.ProtoTCP {
			b[47] &^= hwif.TCPSyn
		}
		return b
	})},
	"does not look at fragments": {catch: "to_kernel", wire: edited(func(_ *hwiftest.Harness, _ hwif.Ifindex, b []byte) []byte {
		if ipv4(b) {
			b[20], b[21] = 0x40, 0
		}
		return b
	})},
	"does not look at the port": {catch: "to_kernel", wire: func(h *hwiftest.Harness, sound injector) func(hwif.Ifindex, []byte) hwiftest.Out {
		return func(_ hwif.Ifindex, b []byte) hwiftest.Out { return sound(h.Ports[0].Ifindex, b) }
	}},
	"takes off one tag of two": {catch: "to_kernel", wire: edited(func(_ *hwiftest.Harness, _ hwif.Ifindex, b []byte) []byte {
		if len(b) > 22 && b[16] == 0x81 {
			return append(b[:12], b[16:]...)
		}
		return b
	})},
	"fills up what is cut off": {catch: "truncated", wire: edited(func(_ *hwiftest.Harness, _ hwif.Ifindex, b []byte) []byte {
		if ipv4(b) {
			b = append(b, make([]byte, max(0, 14+int(binary.BigEndian.Uint16(b[16:]))-len(b)))...)
		}
		return b
	})},
	"leaves the TTL": {catch: "forward", wire: spoilt(func(b []byte) {
		if ipv4(b) {
			b[22]++
		}
	})},
	"invents a UDP checksum": {catch: "udp_zero_checksum", wire: spoilt(func(b []byte) {
		if ipv4(b) && b[23] == hwif.ProtoUDP && b[40]|b[41] == 0 {
			b[40] = 1
		}
	})},
	"repairs broken checksums": {catch: "bad_checksum", wire: spoilt(func(b []byte) {
		if ipv4(b) {
			b[24], b[25] = 0, 0
			var sum uint32
			for i := 14; i < 34; i += 2 {
				sum += uint32(binary.BigEndian.Uint16(b[i:]))
			}
			sum = sum>>16 + sum&0xffff
			binary.BigEndian.PutUint16(b[24:], ^uint16(sum+sum>>16))
		}
	})},
	"forwards padding as data": {catch: "padding", wire: func(_ *hwiftest.Harness, sound injector) func(hwif.Ifindex, []byte) hwiftest.Out {
		return func(in hwif.Ifindex, b []byte) hwiftest.Out {
			out := sound(in, b)
			if out.Verdict == hwiftest.Forwarded && len(b) > len(out.Frame) {
				out.Frame = append(out.Frame, 1)
			}
			return out
		}
	}},
}

const mutantEnv = "HWIFTEST_MUTANT"

// TestMutants proves that the suite can fail: for each thing that may be wrong
// with a device there is a subtest that says so.
func TestMutants(t *testing.T) {
	if os.Getenv(mutantEnv) != "" {
		return
	}
	for name, m := range mutants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], "-test.run=^TestMutant$/^"+m.catch+"$", "-test.v")
			cmd.Env = append(os.Environ(), mutantEnv+"="+name)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestMutant/"+m.catch+" ") {
				t.Errorf("%q passes for a device that %s: %v\n%s", m.catch, name, err, out)
			}
			if strings.Contains(string(out), "panic:") {
				t.Errorf("the suite panics:\n%s", out)
			}
		})
	}
}

// TestMutant is the suite on one mutant; TestMutants runs it. With no name given it
// runs on the sound device, which must pass.
func TestMutant(t *testing.T) {
	name := os.Getenv(mutantEnv)
	m, ok := mutants[name]
	if name != "" && !ok {
		t.Fatalf("%s: no mutant %q", mutantEnv, name)
	}
	hwiftest.Run(t, func(t *testing.T) *hwiftest.Harness { return m.harness(t) })
}

func (m mutant) harness(t *testing.T) *hwiftest.Harness {
	h := &hwiftest.Harness{MaxRules: 40}
	for i, name := range []string{"p0", "p1"} {
		h.Ports = append(h.Ports, hwif.Port{Ifindex: hwif.Ifindex(i + 1), Name: name, MTU: 1500, Up: true, MAC: hwif.MAC{2, 0, 0, 0, 0, byte(i + 1)}})
	}
	var card *sim.NIC
	h.Open = func(opts hwiftest.Options) hwif.Device {
		card = sim.New(sim.Options{Name: "card", Ports: h.Ports, MaxRules: opts.MaxRules})
		return m.open(t, card)
	}
	h.Reopen = func(hwiftest.Options) hwif.Device { return m.open(t, card) }
	sound := injector(func(in hwif.Ifindex, b []byte) hwiftest.Out {
		o := card.Inject(in, b)
		return hwiftest.Out{Verdict: hwiftest.Verdict(o.Verdict), Port: o.Port, Frame: o.Frame}
	})
	h.Inject = sound
	if m.wire != nil {
		h.Inject = m.wire(h, sound)
	}
	return h
}

func (m mutant) open(t *testing.T, card *sim.NIC) hwif.Device {
	dev, err := simdrv.New(card).Open(t.Context(), hwif.OpenOptions{Settings: map[string]string{simdrv.SettingName: "card"}})
	if err != nil {
		t.Fatal(err)
	}
	d := &mutated{Device: dev, card: card}
	if m.device != nil {
		m.device(d)
	}
	return d
}
