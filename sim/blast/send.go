package blast

import (
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// Sender sends one frame out of one interface. Close it.
type Sender struct {
	prog *ebpf.Program
	data [Size]byte
}

// NewSender makes a sender out of the interface with number ifindex. The
// interface at the other end of a veth has to poll: GRO on, or XDP.
func NewSender(ifindex int, f Frame) (*Sender, error) {
	b, err := f.Bytes()
	if err != nil {
		return nil, err
	}
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "blast_send", Type: ebpf.XDP, License: "GPL", Instructions: send(b, ifindex)})
	if err != nil {
		return nil, fmt.Errorf("load the sending program: %w", err)
	}
	return &Sender{prog, b}, nil
}

// send is the program. The kernel uses the pages of earlier frames again, as the
// forwarder left them: so the whole frame is written each time.
func send(b [Size]byte, ifindex int) asm.Instructions {
	ins := asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, 0, asm.Word), // data
		asm.LoadMem(asm.R3, asm.R1, 4, asm.Word), // data_end
		asm.Mov.Reg(asm.R4, asm.R2),
		asm.Add.Imm(asm.R4, Size),
		asm.JGT.Reg(asm.R4, asm.R3, "short"),
	}
	for i := 0; i < Size; i += 4 {
		word := int32(binary.NativeEndian.Uint32(b[i:]))
		ins = append(ins, asm.Mov.Imm32(asm.R5, word), asm.StoreMem(asm.R2, int16(i), asm.R5, asm.Word))
	}
	return append(ins,
		asm.Mov.Imm(asm.R1, int32(ifindex)),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnRedirect.Call(),
		asm.Return(),
		asm.Mov.Imm(asm.R0, xdpAborted).WithSymbol("short"),
		asm.Return(),
	)
}

// Return codes of XDP (enum xdp_action).
const (
	xdpAborted = 0
	xdpDrop    = 1
	xdpPass    = 2
)

// Send sends n frames and returns when the kernel has handed them over. The
// calling thread must be in the interface's namespace.
func (s *Sender) Send(n uint32) error {
	_, err := s.prog.Run(&ebpf.RunOptions{Data: s.data[:], Repeat: n, Flags: unix.BPF_F_TEST_XDP_LIVE_FRAMES})
	if err != nil {
		return fmt.Errorf("send live frames (Linux 5.18 or newer): %w", err)
	}
	return nil
}

// Close frees the program.
func (s *Sender) Close() error { return s.prog.Close() }
