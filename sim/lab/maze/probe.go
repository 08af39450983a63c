package maze

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// Out is what became of one frame: the cables that it came out of, with its bytes.
// Most often it is one; none when it was dropped.
type Out struct {
	Port  int
	Frame []byte
}

// Result is one direction of one flow: what became of the frame that the NIC may
// take, and of the one that it can't.
type Result struct {
	Flow        *Flow
	Reply       bool
	NIC, Kernel []Out
}

// Differs says how the two differ, empty when they do not.
func (r *Result) Differs() string {
	if len(r.NIC) == len(r.Kernel) {
		same := true
		for i := range r.NIC {
			same = same && r.NIC[i].Port == r.Kernel[i].Port && bytes.Equal(r.NIC[i].Frame, r.Kernel[i].Frame)
		}
		if same {
			return ""
		}
	}
	return fmt.Sprintf("flow %s %s: with the NIC %s, by the kernel %s", r.Flow.Name, direction(r.Reply), outs(r.NIC), outs(r.Kernel))
}

func direction(reply bool) string {
	if reply {
		return "reply"
	}
	return "orig"
}

func outs(all []Out) string {
	if len(all) == 0 {
		return "nothing"
	}
	s := ""
	for _, o := range all {
		s += fmt.Sprintf("[%s %x]", Cable(o.Port), o.Frame)
	}
	return s
}

// Probe sends every flow's frames and waits for them: the client's first, so that
// the server's come back the way those went.
func (m *Maze) Probe() ([]Result, error) { return m.probe(forNIC, forKernel) }

// ProbeBack sends the kernel's frame before the NIC's: some of what the kernel does, such
// as sending a redirect, it does for the first packet within a while alone.
func (m *Maze) ProbeBack() ([]Result, error) { return m.probe(forKernel, forNIC) }

func (m *Maze) probe(order ...form) ([]Result, error) {
	var macs [Ports]net.HardwareAddr
	for i := range macs {
		var err error
		if macs[i], err = m.mac(i); err != nil {
			return nil, err
		}
	}
	client := net.HardwareAddr{2, 0, 0, 0, 0, 2}
	var all []Result
	for _, reply := range []bool{false, true} {
		var part []Result
		for _, f := range m.Flows {
			part = append(part, Result{Flow: f, Reply: reply})
		}
		first := m.serial
		for _, as := range order {
			for i := range part {
				f := part[i].Flow
				src, dst, port, from := f.Client, f.Server, 0, client
				if reply {
					src, dst, port, from = f.Behind, f.As, f.Back, net.HardwareAddr{2, 0, 0, 0, byte(f.Back), 2}
				}
				b, err := frame(src, dst, from, macs[port], first+uint32(i), as)
				if err != nil {
					return nil, err
				}
				if err := m.taps[port].send(b); err != nil {
					return nil, fmt.Errorf("send into %s: %w", Port(port), err)
				}
			}
			m.collect(part, first, as)
		}
		m.serial += uint32(len(part))
		if !reply {
			m.follow(part)
		}
		all = append(all, part...)
	}
	return all, nil
}

// collect waits for the frames of one form. It is over when each has come out, or
// has had its time.
func (m *Maze) collect(part []Result, first uint32, as form) {
	for end := time.Now().Add(m.opts.Linger); ; time.Sleep(500 * time.Microsecond) {
		for port, t := range m.taps {
			t.probes(func(id uint32, got form, frame []byte) {
				i := int(id - first)
				if i < 0 || i >= len(part) {
					return // of an earlier probe, held back
				}
				into := &part[i].NIC
				if got == forKernel {
					into = &part[i].Kernel
				}
				*into = append(*into, Out{port, frame})
			})
		}
		missing := 0
		for i := range part {
			if as == forNIC && len(part[i].NIC) == 0 || as == forKernel && len(part[i].Kernel) == 0 {
				missing++
			}
		}
		if missing == 0 || time.Now().After(end) {
			return
		}
	}
}

// follow has the servers answer where the clients' packets came out.
func (m *Maze) follow(part []Result) {
	for i := range part {
		f := part[i].Flow
		if k := part[i].Kernel; !f.Fixed && len(k) == 1 && k[0].Port != 0 {
			f.Back = k[0].Port
		}
	}
}

// Tuple is the flow's original tuple as shuntctl takes it.
func (f *Flow) Tuple() (proto string, src, dst netip.AddrPort) { return "udp", f.Client, f.Server }
