package route

import (
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
)

// ends makes the verdict of a flow whose packets are to be dropped: where they come
// in, by the packets that were seen being dropped or else by the look-ups, and the
// router's own address there. A direction of which neither is known has no path.
// What is for this host is left to it: nobody sees which of it passes.
func (p *picture) ends(j *job) {
	own := flow.Of(flow.Local, flow.Multicast)
	if j.v.reasons&own != 0 || j.failed() && j.q.In == ([2]hwif.Ifindex{}) {
		return
	}
	j.v.reasons, j.v.text = 0, ""
	known := j.q.In != [2]hwif.Ifindex{}
	for d := range j.in {
		if j.in[d] == 0 || known && j.q.In[d] == 0 {
			continue
		}
		s, reason, text := p.stack(j.in[d], j.q.Orig.Family, clue{})
		if reason != flow.ReasonNone {
			j.refuse(reason, "%s", text)
			continue
		}
		j.v.path[d] = path{L3In: s.l3, VRF: s.vrf, BundleIn: s.bundle, Route: flow.Route{In: s.port, InVLAN: s.vlan, InMAC: s.mac, InMTU: s.mtu}}
	}
}
