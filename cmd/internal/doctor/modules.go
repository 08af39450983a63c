package doctor

import (
	"context"
	"os"
	"strings"
)

// modules are what rules are made of: the qdisc, the classifier, the actions. A
// verdict cache (ice) needs the first four.
var modules = []struct{ name, option string }{
	{"sch_ingress", "NET_SCH_INGRESS"},
	{"cls_flower", "NET_CLS_FLOWER"},
	{"act_mirred", "NET_ACT_MIRRED"},
	{"act_gact", "NET_ACT_GACT"},
	{"act_pedit", "NET_ACT_PEDIT"},
	{"act_csum", "NET_ACT_CSUM"},
	{"act_vlan", "NET_ACT_VLAN"},
}

const modulesOfCache = 4

// kernelModules asks whether the kernel has the parts of a rule, or can load them.
func kernelModules(_ context.Context, h *host) []Finding {
	wanted := modules
	if h.opts.Driver == "ice" {
		wanted = modules[:modulesOfCache]
	}
	options, _, _ := h.kernelConfig()
	index := ""
	for _, name := range []string{"modules.dep", "modules.builtin"} {
		text, err := read(h.lib + "/modules/" + h.release + "/" + name)
		if err == nil {
			index += "\n" + text
		}
	}
	var missing, later []string
	for _, m := range wanted {
		_, err := os.Stat(h.sys + "/module/" + m.name)
		switch {
		case err == nil || options[m.option] == "y":
		case strings.Contains(index, "/"+m.name+".ko"):
			later = append(later, m.name)
		default:
			missing = append(missing, m.name)
		}
	}
	f := Finding{Name: "kernel_modules"}
	switch {
	case len(missing) > 0:
		f.Level = Fail
		f.Text = h.lib + "/modules/" + h.release + " lacks what rules are made of: " + strings.Join(missing, ", ")
		f.Mend = "sudo modprobe -a " + strings.Join(missing, " ") + "   # after installing the kernel's further modules: linux-modules-extra-" + h.release + " on Ubuntu, kernel-modules-extra on Fedora"
	case len(later) > 0:
		f.Text = "the kernel loads " + strings.Join(later, ", ") + " when the first rule asks for it"
	default:
		f.Text = "flower and its actions are loaded"
	}
	return []Finding{f}
}
