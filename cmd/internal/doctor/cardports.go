package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/shunt-offload/shunt/switchdev"
)

// cardPorts looks at each interface that is to be given to shuntd.
func cardPorts(ctx context.Context, h *host) []Finding {
	s := h.look(ctx)
	var out []Finding
	for i := range s.ports {
		p := &s.ports[i]
		out = append(out, h.cardPort(p))
		if p.master.Index != 0 {
			out = append(out, belongs(p))
		}
	}
	return out
}

func (h *host) cardPort(p *portLook) Finding {
	f := Finding{Name: "port"}
	switch {
	case p.Link.Index == 0:
		f.Level, f.Text, f.Mend = Fail, p.Name+" is not there", "ip -br link   # lists the interfaces that are"
	case p.Port.Port == nil && p.Stack.Bond != nil:
		f.Level = Fail
		f.Text = fmt.Sprintf("%s is a %s of %s: a rule hangs at a port, and flows over a bond stay in software (lag_unsupported)", p.Name, p.Stack.Bond.Kind, strings.Join(p.Below(), ", "))
		f.Mend = "take one of them out of " + p.Name + ", give it the address, and name it: --ports " + strings.Join(p.Below(), ",")
	case p.Port.Port == nil && len(p.Below()) > 0:
		f.Level = Fail
		f.Text = fmt.Sprintf("%s is a %s on %s: rules hang at the port, and understand one VLAN tag there", p.Name, p.Link.Kind, strings.Join(p.Below(), ", "))
		f.Mend = "name what lies below it: --ports " + strings.Join(p.Below(), ",")
	case p.Port.Port == nil:
		f.Level = Fail
		f.Text = fmt.Sprintf("%s is no port of a card with an eswitch: %s", p.Name, p.Stack.Why())
		f.Mend = h.instead()
	case !p.Port.Port.AdminUp:
		f.Level, f.Text, f.Mend = Warn, p.Port.Port.String()+" is down", "sudo ip link set dev "+p.Name+" up"
	case !p.Port.Port.Up:
		f.Level, f.Text, f.Mend = Warn, p.Port.Port.String()+" is up, but has no carrier", "plug in its cable, or set the function behind it up"
	default:
		f.Text = fmt.Sprintf("%s is up, MTU %d", p.Port.Port.String(), p.Port.Port.MTU)
	}
	return f
}

// belongs is for a port that is part of something else.
func belongs(p *portLook) Finding {
	f := Finding{Name: "port_master", Level: Warn}
	m := p.master
	switch {
	case m.Kind == "openvswitch" || p.Link.SlaveKind == "openvswitch":
		f.Level = Fail
		f.Text = fmt.Sprintf("%s belongs to Open vSwitch (%s): what enters it is switched there and never routed by the kernel, and with hw-offload its rules hang where shunt's would", p.Name, m.Name)
		f.Mend = "sudo ovs-vsctl del-port " + p.Name
	case m.Kind == "bond" || m.Kind == "team":
		f.Text = fmt.Sprintf("%s is a member of %s %s: flows over it stay in software (lag_unsupported)", p.Name, m.Kind, m.Name)
		f.Mend = "sudo ip link set dev " + p.Name + " nomaster"
	case m.Kind == "bridge":
		f.Text = fmt.Sprintf("%s is a port of bridge %s: flows over it stay in software (bridged)", p.Name, m.Name)
		f.Mend = "sudo ip link set dev " + p.Name + " nomaster"
	default:
		f.Text = fmt.Sprintf("%s belongs to %s (%s): flows over it stay in software", p.Name, m.Name, or(m.Kind, "unknown kind"))
		f.Mend = "sudo ip link set dev " + p.Name + " nomaster"
	}
	return f
}

// tcOffload looks at the feature hw-tc-offload of each port.
func tcOffload(ctx context.Context, h *host) []Finding {
	s := h.look(ctx)
	var out []Finding
	var on []string
	for i := range s.ports {
		p := s.ports[i].Port.Port
		if p == nil {
			continue
		}
		f := Finding{Name: "hw_tc_offload", Level: Fail, Text: p.Name + " has hw-tc-offload off: it takes no rule"}
		switch p.TCOffload {
		case switchdev.TCOffloadOn, switchdev.TCOffloadOnFixed:
			on = append(on, p.Name)
			continue
		case switchdev.TCOffloadOff:
			f.Mend = "sudo ethtool -K " + p.Name + " hw-tc-offload on"
		case switchdev.TCOffloadOffFixed:
			f.Text = p.Name + " has hw-tc-offload off [fixed]: this kernel or driver cannot offload tc rules here"
			f.Mend = "boot a kernel whose card driver is built with flower; kernel_config above says which option is missing, where it can be read"
		default:
			f.Level, f.Text = Warn, "the kernel does not say whether "+p.Name+" has hw-tc-offload on"
			f.Mend = "ethtool -k " + p.Name + " | grep hw-tc-offload"
		}
		out = append(out, f)
	}
	if len(on) > 0 {
		out = append(out, Finding{Name: "hw_tc_offload", Text: "on for " + list(on)})
	}
	return out
}

// list names a few, and how many more there are.
func list(names []string) string {
	const most = 6
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
