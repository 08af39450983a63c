//go:build bench

package xdp

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

const (
	forwardRounds = 3 // of A-B-B-A
	forwardPhase  = 1200 * time.Millisecond
)

// TestForwardRatio sends one UDP flow from e0 through the router to e1, by the
// kernel with conntrack and nft masquerade and by the emulated NIC with an equal
// rule, and compares the frames per second that arrive with the right source. It
// asserts that frames arrive, never how fast.
func TestForwardRatio(t *testing.T) {
	w := newWires(t, wireOptions{ports: 2, mtu: 1500})
	w.ethtoolRouter("p0", "gro", "on") // NAPI, so that the kernel's path takes the generator's frames
	w.addressRouter()
	sink := w.sink("e1", routerOut)
	send := w.generator()
	kernel := func() float64 {
		return rate(t, sink, send)
	}
	nic := func() float64 {
		d := w.open(hwif.OpenOptions{MaxRules: 64, Settings: map[string]string{"mode": "native"}})
		defer func() { must(t, d.Close(true), "close") }()
		results := make([]hwif.Result, 1)
		rule := w.masquerade()
		d.Apply(context.Background(), []hwif.Op{{Kind: hwif.OpInstall, Rule: rule}}, results)
		must(t, results[0].Err, "install")
		got := rate(t, sink, send)
		list, err := d.Counters(context.Background(), nil)
		must(t, err, "Counters")
		if len(list) != 1 || list[0].Packets == 0 {
			t.Fatalf("the rule has counted nothing: %+v", list)
		}
		return got
	}
	var kernels, nics []float64
	for range forwardRounds {
		kernels = append(kernels, kernel())
		nics = append(nics, nic(), nic())
		kernels = append(kernels, kernel())
	}
	k, n := median(kernels), median(nics)
	fmt.Printf("kernel forwarding with conntrack and nft masquerade: median %.0f frames/s of %s\n", k, list(kernels))
	fmt.Printf("emulated NIC with an equal rule:                     median %.0f frames/s of %s\n", n, list(nics))
	fmt.Printf("figure forward_ratio %.2f x\n", n/k)
}

var (
	clientIP  = net.IPv4(10, 1, 0, 2).To4()
	serverIP  = net.IPv4(10, 2, 0, 2).To4()
	routerIn  = net.IPv4(10, 1, 0, 1).To4()
	routerOut = net.IPv4(10, 2, 0, 1).To4()
)

const clientPort, serverPort = 40000, 5000

// addressRouter makes the router a router with masquerade.
func (w *wires) addressRouter() {
	t := w.t
	var server net.HardwareAddr
	in(t, w.peers, func() {
		l, err := netlink.LinkByName("e1")
		must(t, err, "find e1")
		server = l.Attrs().HardwareAddr
	})
	w.inRouter(func() {
		must(t, os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0), "switch forwarding on")
		for name, ip := range map[string]net.IP{"p0": routerIn, "p1": routerOut} {
			l, err := netlink.LinkByName(name)
			must(t, err, "find "+name)
			must(t, netlink.AddrAdd(l, &netlink.Addr{IPNet: &net.IPNet{IP: ip, Mask: net.CIDRMask(24, 32)}}), "address of "+name)
			if name == "p1" {
				must(t, netlink.NeighAdd(&netlink.Neigh{LinkIndex: l.Attrs().Index, State: netlink.NUD_PERMANENT, IP: serverIP, HardwareAddr: server}), "neighbour")
			}
		}
		cmd := exec.Command("nft", "-f", "-")
		cmd.Stdin = strings.NewReader("table ip shunt { chain post { type nat hook postrouting priority srcnat; oifname p1 masquerade; }\nchain pass { type filter hook forward priority filter; policy drop; ct state invalid drop; iifname p0 accept; }\n}\n")
		out, err := cmd.CombinedOutput()
		must(t, err, "nft: "+string(out))
	})
}

func (w *wires) ethtoolRouter(name, feature, to string) {
	w.t.Helper()
	w.inRouter(func() { setFeature(w.t, name, feature, to) })
}

// masquerade is what the kernel does to the flow, as a rule.
func (w *wires) masquerade() hwif.Rule {
	var server hwif.MAC
	in(w.t, w.peers, func() {
		l, err := netlink.LinkByName("e1")
		must(w.t, err, "find e1")
		server = hwif.MAC(l.Attrs().HardwareAddr)
	})
	r := hwif.Rule{Cookie: hwif.NewCookie(1, 0),
		Match: hwif.Match{Fields: hwif.RoutedFlow, InPort: w.ports[0].Ifindex, EthDst: w.ports[0].MAC, Family: hwif.IPv4,
			Proto: hwif.ProtoUDP, SrcPort: clientPort, DstPort: serverPort},
		Actions: hwif.Actions{Set: hwif.Routed | hwif.ActionsOf(hwif.ActIPSrc), EthSrc: w.ports[1].MAC, EthDst: server,
			OutPort: w.ports[1].Ifindex, MTU: 1500}}
	copy(r.Match.Src[:], clientIP)
	copy(r.Match.Dst[:], serverIP)
	copy(r.Actions.IPSrc[:], routerOut)
	return r
}

// datagram is the flow's frame of 60 bytes.
func (w *wires) datagram() []byte {
	f := make([]byte, 60)
	copy(f, w.ports[0].MAC[:])
	copy(f[6:], []byte{2, 0, 0, 0, 0xcc, 1, 8, 0, 0x45, 0, 0, 46, 0, 1, 0x40, 0, 64, 17})
	copy(f[26:], clientIP)
	copy(f[30:], serverIP)
	binary.BigEndian.PutUint16(f[24:], internet(f[14:34], 0))
	binary.BigEndian.PutUint16(f[34:], clientPort)
	binary.BigEndian.PutUint16(f[36:], serverPort)
	binary.BigEndian.PutUint16(f[38:], 26)
	binary.BigEndian.PutUint16(f[40:], internet(append(append([]byte{}, f[26:34]...), f[34:]...), 17+26))
	return f
}

func internet(b []byte, start uint32) uint16 {
	for i := 0; i < len(b); i += 2 {
		start += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for start > 0xffff {
		start = start&0xffff + start>>16
	}
	return ^uint16(start)
}

// generator runs a program that writes the datagram's headers anew into each frame
// and sends it out of e0 (BPF_F_TEST_XDP_LIVE_FRAMES): frames appear at p0 at the
// least cost that the kernel offers.
func (w *wires) generator() func(frames uint32) error {
	t, frame := w.t, w.datagram()
	var ifindex int
	in(t, w.peers, func() {
		l, err := netlink.LinkByName("e0")
		must(t, err, "find e0")
		ifindex = l.Attrs().Index
	})
	ins := asm.Instructions{
		asm.Mov.Imm(asm.R0, 1),
		asm.LoadMem(asm.R2, asm.R1, 0, asm.Word),
		asm.LoadMem(asm.R3, asm.R1, 4, asm.Word),
		asm.Mov.Reg(asm.R4, asm.R2),
		asm.Add.Imm(asm.R4, int32(len(frame))),
		asm.JGT.Reg(asm.R4, asm.R3, "out"),
	}
	for i := 0; i+4 <= 44; i += 4 {
		ins = append(ins, asm.StoreImm(asm.R2, int16(i), int64(int32(binary.NativeEndian.Uint32(frame[i:]))), asm.Word))
	}
	ins = append(ins, asm.Mov.Imm(asm.R1, int32(ifindex)), asm.Mov.Imm(asm.R2, 0), asm.FnRedirect.Call(), asm.Return().WithSymbol("out"))
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "GPL", Instructions: ins})
	must(t, err, "load generator")
	t.Cleanup(func() { prog.Close() })
	return func(n uint32) error {
		var err error
		in(t, w.peers, func() {
			_, err = prog.Run(&ebpf.RunOptions{Data: frame, Repeat: n, BatchSize: 64, Flags: unix.BPF_F_TEST_XDP_LIVE_FRAMES})
		})
		return err
	}
}

// sink counts and drops what arrives with source address src.
func (w *wires) sink(name string, src net.IP) *ebpf.Map {
	t := w.t
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	must(t, err, "sink map")
	t.Cleanup(func() { m.Close() })
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "GPL", Instructions: asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, 0, asm.Word),
		asm.LoadMem(asm.R3, asm.R1, 4, asm.Word),
		asm.Mov.Reg(asm.R4, asm.R2),
		asm.Add.Imm(asm.R4, 34),
		asm.JGT.Reg(asm.R4, asm.R3, "drop"),
		asm.LoadMem(asm.R5, asm.R2, 26, asm.Word),
		asm.LoadImm(asm.R6, int64(binary.NativeEndian.Uint32(src)), asm.DWord),
		asm.JNE.Reg(asm.R5, asm.R6, "drop"),
		asm.StoreImm(asm.R10, -4, 0, asm.Word),
		asm.Mov.Reg(asm.R2, asm.R10),
		asm.Add.Imm(asm.R2, -4),
		asm.LoadMapPtr(asm.R1, m.FD()),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "drop"),
		asm.Mov.Imm(asm.R1, 1),
		asm.AddAtomic.Mem(asm.R0, asm.R1, asm.DWord, 0),
		asm.Mov.Imm(asm.R0, 1).WithSymbol("drop"),
		asm.Return(),
	}})
	must(t, err, "load sink")
	defer prog.Close()
	in(t, w.peers, func() {
		l, err := netlink.LinkByName(name)
		must(t, err, "find "+name)
		x, err := link.AttachXDP(link.XDPOptions{Program: prog, Interface: l.Attrs().Index, Flags: link.XDPDriverMode})
		must(t, err, "attach sink")
		t.Cleanup(func() { x.Close() })
	})
	return m
}

// rate sends for one phase and gives the frames per second that arrived.
func rate(t *testing.T, sink *ebpf.Map, send func(uint32) error) float64 {
	t.Helper()
	runtime.GC()
	must(t, send(10_000), "warm up")
	var before, after uint64
	must(t, sink.Lookup(uint32(0), &before), "read sink")
	start := time.Now()
	for time.Since(start) < forwardPhase {
		must(t, send(50_000), "send")
	}
	took := time.Since(start)
	must(t, sink.Lookup(uint32(0), &after), "read sink")
	if after == before {
		t.Fatal("nothing arrived with the router's address")
	}
	return float64(after-before) / took.Seconds()
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return (s[len(s)/2] + s[(len(s)-1)/2]) / 2
}

func list(v []float64) string {
	var out []string
	for _, x := range v {
		out = append(out, fmt.Sprintf("%.0f", x))
	}
	return strings.Join(out, " ")
}
