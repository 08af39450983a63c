package doctor

import (
	"errors"
	"fmt"

	"github.com/safchain/ethtool"
	"github.com/vishvananda/netlink"
)

// What the other end of a veth pair must do, by ethtool's own names. The wire of
// a veth is memory: nothing on it ever finishes a frame.
var peerFeatures = []struct {
	feature string
	want    bool
	set     string // for ethtool -K
	text    string // what happens otherwise
}{
	{"tx-checksum-ip-generic", false, "tx off", "its frames arrive without a finished checksum, which only the kernel can finish: they stay in software"},
	{"rx-gro", true, "gro on", "it takes redirected frames only with GRO (or an XDP program) on: what is sent to it is lost, so shuntd falls back to generic mode, which is slower; restart shuntd after mending"},
	{"tx-vlan-hw-insert", false, "txvlan off", "its VLAN tags arrive beside the frame, where an XDP program does not see them"},
}

// veth looks at the far end of a pair, where it can be found.
func (h *host) veth(v *netlink.Veth) []Finding {
	at := v.Attrs()
	port := at.Name
	f := Finding{Name: "veth_peer"}
	ns, peer, err := h.peer(at)
	if err != nil {
		f.Level = Warn
		f.Text = fmt.Sprintf("%s is a veth whose other end cannot be seen (%v)", port, err)
		f.Mend = "at the other end: ethtool -K PEER tx off gro on txvlan off"
		return []Finding{f}
	}
	var out []Finding
	where := "ethtool -K " + peer.name
	if ns != "" {
		where = "ip netns exec " + ns + " " + where
		if ns[0] == '/' {
			where = "nsenter --net=" + ns + " " + "ethtool -K " + peer.name
		}
	}
	for _, w := range peerFeatures {
		got, known := peer.features[w.feature]
		if !known || got == w.want || w.feature == "rx-gro" && peer.program {
			continue
		}
		out = append(out, Finding{
			Name: "veth_peer", Level: Warn,
			Text: fmt.Sprintf("%s, the other end of %s, has %s %s: %s", peer.name, port, w.feature, onOff(got), w.text),
			Mend: "sudo " + where + " " + w.set,
		})
	}
	if len(out) == 0 {
		f.Text = fmt.Sprintf("%s, the other end of %s, finishes its frames and takes ours", peer.name, port)
		out = append(out, f)
	}
	return out
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

// farEnd is the other end of a pair.
type farEnd struct {
	name     string
	features map[string]bool
	program  bool // carries an XDP program, which has the effect of GRO
}

// look reads the interface with this number in the calling thread's namespace.
func look(index int) (farEnd, error) {
	link, err := netlink.LinkByIndex(index)
	if err != nil {
		return farEnd{}, fmt.Errorf("interface %d: %w", index, err)
	}
	end := farEnd{name: link.Attrs().Name}
	if x := link.Attrs().Xdp; x != nil {
		end.program = x.Attached
	}
	et, err := ethtool.NewEthtool()
	if err != nil {
		return farEnd{}, fmt.Errorf("ethtool socket: %w", err)
	}
	defer et.Close()
	if end.features, err = et.Features(end.name); err != nil {
		return farEnd{}, fmt.Errorf("features of %s: %w", end.name, err)
	}
	return end, nil
}

var errNotFound = errors.New("its namespace was not found under /run/netns or /proc")

// peer finds the other end: IFLA_LINK is its number, IFLA_LINK_NETNSID its
// namespace as ours numbers it, absent when it is our own.
func (h *host) peer(at *netlink.LinkAttrs) (ns string, end farEnd, err error) {
	if at.ParentIndex == 0 {
		return "", end, errors.New("the kernel does not name it")
	}
	if at.NetNsID < 0 {
		end, err = look(at.ParentIndex)
		return "", end, err
	}
	err = errNotFound
	for path := range h.namespaces() {
		id, idErr := numberOf(path)
		if idErr != nil || id != at.NetNsID {
			continue
		}
		err = inside(path, func() error {
			var lookErr error
			end, lookErr = look(at.ParentIndex)
			return lookErr
		})
		return displayName(path), end, err
	}
	return "", end, err
}
