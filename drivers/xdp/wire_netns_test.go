//go:build netns

package xdp

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

// testHold is short: the suite waits for it.
const testHold = 300 * time.Millisecond

// wires are a router's namespace with veth ports, and a namespace with their
// peers. Everything goes with the test.
type wires struct {
	t             testing.TB
	router, peers netns.NsHandle
	ports         []hwif.Port
	names         []string
	o             wireOptions
}

var wireNumber atomic.Uint32

type wireOptions struct {
	ports  int
	mtu    int
	queues int
	// bare leaves the peers as veth makes them: no GRO, transmit offloads on.
	bare bool
}

// newWires makes p0..pN in the router's namespace and e0..eN beyond.
func newWires(t testing.TB, o wireOptions) *wires {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("tests with tag netns need root")
	}
	if o.ports == 0 {
		o.ports = 3
	}
	if o.mtu == 0 {
		o.mtu = 3000
	}
	if o.queues == 0 {
		o.queues = 1
	}
	w := &wires{t: t, o: o}
	n := wireNumber.Add(1)
	w.router = newNamespace(t, fmt.Sprintf("xdp-r-%d-%d", os.Getpid(), n))
	w.peers = newNamespace(t, fmt.Sprintf("xdp-e-%d-%d", os.Getpid(), n))
	w.inRouter(func() {
		for i := range o.ports {
			w.names = append(w.names, w.addVeth(i, 0))
		}
	})
	for i := range o.ports {
		w.peerUp(i)
	}
	for i := range o.ports {
		w.ports = append(w.ports, w.port(i))
	}
	return w
}

// remake makes the i-th pair anew after it was deleted, under the ifindex given; 0
// leaves the number to the kernel.
func (w *wires) remake(i int, ifindex hwif.Ifindex) {
	w.t.Helper()
	w.inRouter(func() { w.addVeth(i, ifindex) })
	w.peerUp(i)
	w.ports[i] = w.port(i)
}

// addVeth runs in the router's namespace.
func (w *wires) addVeth(i int, ifindex hwif.Ifindex) string {
	w.t.Helper()
	o := &w.o
	a := netlink.NewLinkAttrs()
	a.Name, a.MTU, a.NumTxQueues, a.NumRxQueues = fmt.Sprintf("p%d", i), o.mtu, o.queues, o.queues
	a.Index = int(ifindex)
	a.HardwareAddr = []byte{2, 0, 0, 0, 0xaa, byte(i)}
	veth := &netlink.Veth{LinkAttrs: a, PeerName: fmt.Sprintf("e%d", i), PeerNamespace: netlink.NsFd(int(w.peers)), PeerMTU: uint32(o.mtu),
		PeerNumTxQueues: uint32(o.queues), PeerNumRxQueues: uint32(o.queues)}
	must(w.t, netlink.LinkAdd(veth), "add "+a.Name)
	must(w.t, netlink.LinkSetUp(veth), "up "+a.Name)
	return a.Name
}

func (w *wires) peerUp(i int) {
	w.t.Helper()
	in(w.t, w.peers, func() {
		l, err := netlink.LinkByName(fmt.Sprintf("e%d", i))
		must(w.t, err, "find peer")
		must(w.t, netlink.LinkSetUp(l), "up peer")
	})
	if !w.o.bare {
		w.ethtool(i, "gro", "on")
		w.ethtool(i, "tx", "off")
	}
}

func (w *wires) port(i int) (p hwif.Port) {
	w.t.Helper()
	w.inRouter(func() {
		l, err := netlink.LinkByName(w.names[i])
		must(w.t, err, "find port")
		a := l.Attrs()
		p = hwif.Port{Ifindex: hwif.Ifindex(a.Index), Name: a.Name, MAC: hwif.MAC(a.HardwareAddr), MTU: uint32(a.MTU), Up: true}
	})
	return p
}

// newNamespace makes a named namespace in which nothing speaks unasked.
func newNamespace(t testing.TB, name string) netns.NsHandle {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	old, err := netns.Get()
	must(t, err, "get namespace")
	defer old.Close()
	ns, err := netns.NewNamed(name)
	must(t, err, "make namespace "+name)
	for _, key := range []string{"all", "default"} {
		must(t, os.WriteFile("/proc/sys/net/ipv6/conf/"+key+"/disable_ipv6", []byte("1"), 0), "switch IPv6 off")
	}
	must(t, netns.Set(old), "go back")
	t.Cleanup(func() {
		ns.Close()
		if err := netns.DeleteNamed(name); err != nil {
			t.Errorf("delete namespace %s: %v", name, err)
		}
	})
	return ns
}

// in runs do in a namespace, on a thread of its own for that time.
func in(t testing.TB, ns netns.NsHandle, do func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	old, err := netns.Get()
	must(t, err, "get namespace")
	defer old.Close()
	must(t, netns.Set(ns), "enter namespace")
	defer func() { must(t, netns.Set(old), "go back") }()
	do()
}

func (w *wires) inRouter(do func()) {
	w.t.Helper()
	in(w.t, w.router, do)
}

// ethtool changes a feature of the i-th peer and proves that it took.
func (w *wires) ethtool(i int, feature, to string) {
	w.t.Helper()
	in(w.t, w.peers, func() { setFeature(w.t, fmt.Sprintf("e%d", i), feature, to) })
}

func must(t testing.TB, err error, what string) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// socket is a raw AF_PACKET socket on one interface.
func (w *wires) socket(ns netns.NsHandle, name string) *packetSocket {
	w.t.Helper()
	var s *packetSocket
	in(w.t, ns, func() {
		l, err := netlink.LinkByName(name)
		must(w.t, err, "find "+name)
		s, err = openPacket(l.Attrs().Index)
		must(w.t, err, "packet socket on "+name)
	})
	w.t.Cleanup(func() { unix.Close(s.fd) })
	return s
}

// open opens a device over all ports.
func (w *wires) open(o hwif.OpenOptions) *Device {
	w.t.Helper()
	o.Ports = w.names
	var dev hwif.Device
	var err error
	w.inRouter(func() { dev, err = Driver{hold: testHold}.Open(context.Background(), o) })
	must(w.t, err, "open")
	return dev.(*Device)
}
