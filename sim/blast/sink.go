package blast

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

// Sink takes UDP frames over IPv4 of a sender's size off an interface and counts
// them; everything else passes. Close it.
type Sink struct {
	counts *ebpf.Map // per CPU, one slot
	prog   *ebpf.Program
	link   link.Link
}

// NewSink attaches a sink in native mode. The calling thread must be in the
// interface's namespace.
func NewSink(ifindex int) (s *Sink, err error) {
	s = new(Sink)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.counts, err = ebpf.NewMap(&ebpf.MapSpec{Name: "blast_count", Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: 1}); err != nil {
		return s, fmt.Errorf("make the sink's counter: %w", err)
	}
	spec := &ebpf.ProgramSpec{Name: "blast_sink", Type: ebpf.XDP, License: "GPL", Instructions: drop(s.counts.FD())}
	if s.prog, err = ebpf.NewProgram(spec); err != nil {
		return s, fmt.Errorf("load the sink: %w", err)
	}
	s.link, err = link.AttachXDP(link.XDPOptions{Program: s.prog, Interface: ifindex, Flags: link.XDPDriverMode})
	if err != nil {
		return s, fmt.Errorf("attach the sink: %w", err)
	}
	return s, nil
}

// drop is the program: length, ethertype and protocol of a blast frame.
func drop(counts int) asm.Instructions {
	return asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, 0, asm.Word),
		asm.LoadMem(asm.R3, asm.R1, 4, asm.Word),
		asm.Mov.Reg(asm.R4, asm.R2),
		asm.Add.Imm(asm.R4, Size),
		asm.JGT.Reg(asm.R4, asm.R3, "pass"), // the bound that the verifier asks for
		asm.JNE.Reg(asm.R4, asm.R3, "pass"),
		asm.LoadMem(asm.R5, asm.R2, 12, asm.Byte),
		asm.JNE.Imm(asm.R5, 0x08, "pass"),
		asm.LoadMem(asm.R5, asm.R2, 13, asm.Byte),
		asm.JNE.Imm(asm.R5, 0x00, "pass"),
		asm.LoadMem(asm.R5, asm.R2, 23, asm.Byte),
		asm.JNE.Imm(asm.R5, 17, "pass"),
		asm.StoreImm(asm.RFP, -4, 0, asm.Word),
		asm.LoadMapPtr(asm.R1, counts),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "pass"),
		asm.LoadMem(asm.R1, asm.R0, 0, asm.DWord),
		asm.Add.Imm(asm.R1, 1),
		asm.StoreMem(asm.R0, 0, asm.R1, asm.DWord),
		asm.Mov.Imm(asm.R0, xdpDrop),
		asm.Return(),
		asm.Mov.Imm(asm.R0, xdpPass).WithSymbol("pass"),
		asm.Return(),
	}
}

// Count is the number of frames taken until now.
func (s *Sink) Count() (n uint64, err error) {
	var per []uint64
	if err := s.counts.Lookup(uint32(0), &per); err != nil {
		return 0, fmt.Errorf("read the sink's counter: %w", err)
	}
	for _, c := range per {
		n += c
	}
	return n, nil
}

// Close detaches the sink.
func (s *Sink) Close() error {
	var errs []error
	if s.link != nil {
		errs = append(errs, s.link.Close())
	}
	if s.prog != nil {
		errs = append(errs, s.prog.Close())
	}
	if s.counts != nil {
		errs = append(errs, s.counts.Close())
	}
	return errors.Join(errs...)
}
