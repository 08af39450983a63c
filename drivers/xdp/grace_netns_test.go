//go:build netns

package xdp

import (
	"runtime"
	"sync"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/hwiftest"
)

// slowProgram is an XDP program that says 1 in its map, works for some tenths of a
// second in one go, and says 2.
func slowProgram(t *testing.T) (*ebpf.Program, *ebpf.Map) {
	t.Helper()
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	must(t, err, "map")
	t.Cleanup(func() { m.Close() })
	number := &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}
	fn := func(name string, l btf.FuncLinkage, params ...btf.FuncParam) *btf.Func {
		return &btf.Func{Name: name, Type: &btf.FuncProto{Return: number, Params: params}, Linkage: l}
	}
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "GPL", Instructions: asm.Instructions{
		btf.WithFuncMetadata(asm.StoreImm(asm.R10, -4, 0, asm.Word).WithSymbol("slow"),
			fn("slow", btf.GlobalFunc, btf.FuncParam{Name: "ctx", Type: &btf.Pointer{Target: &btf.Void{}}})),
		asm.Mov.Reg(asm.R2, asm.R10),
		asm.Add.Imm(asm.R2, -4),
		asm.LoadMapPtr(asm.R1, m.FD()),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "out"),
		asm.Mov.Reg(asm.R6, asm.R0),
		asm.StoreImm(asm.R6, 0, 1, asm.Word),
		asm.Mov.Imm(asm.R1, 1<<23),
		asm.Instruction{OpCode: asm.LoadImmOp(asm.DWord), Dst: asm.R2, Src: asm.PseudoFunc, Constant: -1}.WithReference("work"),
		asm.Mov.Imm(asm.R3, 0),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnLoop.Call(),
		asm.StoreImm(asm.R6, 0, 2, asm.Word),
		asm.Mov.Imm(asm.R0, 1).WithSymbol("out"),
		asm.Return(),
		btf.WithFuncMetadata(asm.FnKtimeGetNs.Call().WithSymbol("work"), fn("work", btf.StaticFunc,
			btf.FuncParam{Name: "i", Type: number}, btf.FuncParam{Name: "ctx", Type: &btf.Pointer{Target: &btf.Void{}}})),
		asm.Mov.Imm(asm.R0, 0),
		asm.Return(),
	}})
	must(t, err, "load slow program")
	t.Cleanup(func() { prog.Close() })
	return prog, m
}

// wantWaits calls do while a program is running that was started before, and wants
// it to return after that program's end: rules are found by such programs.
func wantWaits(t *testing.T, what string, do func()) {
	t.Helper()
	prog, m := slowProgram(t)
	read := func() (v uint32) {
		must(t, m.Lookup(uint32(0), &v), "read map")
		return v
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	// On a busy machine this goroutine may sleep through the whole program.
	for range 50 {
		must(t, m.Put(uint32(0), uint32(0)), "clear map")
		wg.Go(func() {
			if _, err := prog.Run(&ebpf.RunOptions{Data: make([]byte, 60)}); err != nil {
				t.Errorf("run: %v", err)
			}
		})
		for read() == 0 {
			runtime.Gosched()
		}
		if read() == 1 {
			do()
			if read() != 2 {
				t.Errorf("%s returned while a program was still running", what)
			}
			return
		}
		wg.Wait()
	}
	t.Fatal("the slow program was never seen at work")
}

func TestGraceWaits(t *testing.T) {
	g, err := newGrace()
	must(t, err, "grace")
	defer g.close()
	wantWaits(t, "wait", func() { must(t, g.wait(), "wait") })
}

// After a remove no frame is under way by the rule, and an install never uses its
// memory before that.
func TestApplyWaits(t *testing.T) {
	w := newWires(t, wireOptions{})
	d, f := w.device(ModeNative), w.flow(hwif.ProtoUDP)
	other := hwiftest.Flow{N: 2, Family: hwif.IPv6, Proto: hwif.ProtoUDP, In: f.In, Out: f.Out}
	a, b := f.Rule(hwif.NewCookie(1, 0)), other.Rule(hwif.NewCookie(2, 0))
	installAll(t, d, a)
	wantWaits(t, "a remove", func() {
		results := make([]hwif.Result, 1)
		d.Apply(t.Context(), []hwif.Op{{Kind: hwif.OpRemove, Rule: a}}, results)
		must(t, results[0].Err, "remove")
	})
	installAll(t, d, a)
	must(t, d.table.remove(a.Cookie, nil), "remove without waiting")
	k, v, err := encode(&b)
	must(t, err, "encode")
	wantWaits(t, "an insert after a remove", func() { must(t, d.table.insert(&k, &v), "insert") })
}
