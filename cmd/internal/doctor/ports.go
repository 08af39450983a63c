package doctor

import (
	"context"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ownProgram is the name of the xdp driver's program: a port that carries it
// belongs to a shuntd, alive or not.
const ownProgram = "shunt_pipeline"

// nativeMTU is what one page leaves for a frame of L3 in native mode without
// xdp.frags: 4096 less headroom 256, tail room 320 and the Ethernet header with
// a tag. Drivers differ by some bytes; veth refuses above 3520.
const nativeMTU = 3498

// ports looks at each interface that is to be given to shuntd.
func ports(ctx context.Context, h *host) []Finding {
	if len(h.opts.Ports) == 0 {
		return []Finding{{
			Name: "ports", Level: Warn, Text: "none named, so nothing about interfaces was looked at",
			Mend: "shuntctl doctor --ports eth0,eth1",
		}}
	}
	var out []Finding
	for _, name := range h.opts.Ports {
		if ctx.Err() != nil {
			return out
		}
		out = append(out, h.port(name)...)
	}
	if len(h.opts.Ports) == 1 {
		out = append(out, Finding{
			Name: "ports", Level: Warn, Text: "one port is named: only flows that turn back through it, by VLAN, can be offloaded",
			Mend: "name every interface between which packets are forwarded: --ports " + h.opts.Ports[0] + ",eth1",
		})
	}
	return out
}

func (h *host) port(name string) []Finding {
	f := Finding{Name: "port"}
	link, err := netlink.LinkByName(name)
	if err != nil {
		f.Level, f.Text, f.Mend = Fail, name+" is not there", "ip -br link   # lists the interfaces that are"
		if !errors.As(err, new(netlink.LinkNotFoundError)) {
			f.Text = name + " cannot be looked at: " + err.Error()
		}
		return []Finding{f}
	}
	at := link.Attrs()
	switch {
	case at.EncapType != "ether":
		f.Level, f.Text = Fail, fmt.Sprintf("%s is no Ethernet interface but %s; rules are about Ethernet frames", name, at.EncapType)
		f.Mend = "name the Ethernet interface below or above it"
	case link.Type() == "vlan" || link.Type() == "bridge" || link.Type() == "bond" || link.Type() == "macvlan":
		f.Level = Fail
		f.Text = fmt.Sprintf("%s is a %s: frames that are redirected to it would pass by what it does", name, link.Type())
		f.Mend = "name the interfaces below it; VLANs on them are understood"
	case at.RawFlags&unix.IFF_UP == 0:
		f.Level, f.Text, f.Mend = Warn, name+" is down", "sudo ip link set dev "+name+" up"
	case at.RawFlags&unix.IFF_LOWER_UP == 0:
		f.Level, f.Text, f.Mend = Warn, name+" is up, but has no carrier", "plug in its cable, or set its peer up"
	default:
		f.Text = fmt.Sprintf("%s is up, Ethernet, MTU %d", name, at.MTU)
	}
	out := []Finding{f, program(name, at.Xdp)}
	if at.MTU > nativeMTU {
		out = append(out, Finding{
			Name: "mtu", Level: Warn,
			Text: fmt.Sprintf("%s has MTU %d, too large for a program in the network driver (at most about %d)", name, at.MTU, nativeMTU),
			Mend: fmt.Sprintf("sudo ip link set dev %s mtu %d   # or nic.settings: {mode: generic}, which is slower", name, nativeMTU),
		})
	}
	if veth, ok := link.(*netlink.Veth); ok {
		out = append(out, h.veth(veth)...)
	}
	return out
}

// program tells whose XDP program a port carries.
func program(port string, x *netlink.LinkXdp) Finding {
	f := Finding{Name: "xdp", Text: port + " carries no XDP program"}
	if x == nil || !x.Attached {
		return f
	}
	name, err := programName(x.ProgId)
	switch {
	case err != nil:
		f.Level = Fail
		f.Text = fmt.Sprintf("%s carries XDP program %d, whose name cannot be read: %v", port, x.ProgId, err)
		f.Mend = "sudo bpftool prog show id " + fmt.Sprint(x.ProgId)
	case name == ownProgram:
		f.Text = fmt.Sprintf("%s carries shuntd's own program %q: a daemon runs, or has left its rules", port, name)
	default:
		f.Level = Fail
		f.Text = fmt.Sprintf("%s carries the XDP program %q (id %d) of somebody else, and a port takes one", port, name, x.ProgId)
		f.Mend = "end the program that put it there, or: sudo ip link set dev " + port + " xdp off"
	}
	return f
}
