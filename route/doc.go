// Package route says how a flow leaves the router, in both directions, and says
// so again the moment that a change of the network may have made it untrue.
//
// Queries come in by Resolve. For each, the kernel is asked (RTM_GETROUTE with
// the packet's ingress interface, addresses, ports, protocol and mark), the
// interfaces are followed down to a device's port, and the next hop's MAC is
// taken from the neighbour table. Out go flow.Answer, later flow.Dirty, and
// flow.Loss and flow.Synced. The package is no model of the FIB: routes are
// never kept, every answer is the kernel's own. It installs nothing and changes
// nothing but the freshness of neighbours in use.
//
//	Resolve, Forget, SetPorts ──▶ queue ──▶ ┐
//	rtnetlink, XFRM notifications ────────▶ Run ──▶ emit(Answer, Dirty, Loss, Synced)
//	                                         │ └─▶ RTM_GETROUTE in batches, dumps, NTF_USE
//	                                         owns picture (links, neighbours, rules, policies)
//	                                         and index (flows, paths)
//
// Run's goroutine owns everything but the queue and the reading of the
// notification sockets. Nothing else may touch the index or the picture.
//
// # No change is missed
//
// The sockets are subscribed in Open, before the first listing and before the
// first look-up. A look-up and the entry of its result into the index happen
// without a notification being handled between them. So a change is either in
// effect before the look-up, and its notification, handled later, finds the
// same answer (a harmless second look-up); or it comes after, and its
// notification finds the flow in the index and a different answer. The
// neighbour and link tables may lag behind the kernel by what waits in the
// socket; an Answer made from them is followed by Dirty when that is read.
// Between the change and Dirty lies only the reading of the socket: a reader
// that must exclude even that compares again after installing.
//
// What the kernel changes silently (IPv4 routes that go down with their link or
// their nexthop object, dead legs, path MTU) is found where its cause is
// notified (link, nexthop), and otherwise by asking about every flow again,
// spread over Options.Recheck.
//
// # After Dirty
//
// Dirty ends the tracking of the flows in it, as Forget does. Nothing more is
// said of them until they are asked about again.
//
// # What was seen
//
// With an Observer nothing is answered before a packet of each direction was seen to
// come in and to leave, and the tables agree with it (await.go, glimpse.go). Then legs
// of multipath routes, marks, asymmetric ways and what the ruleset does to packets are
// known; a flow that is silent, or of which no packet leaves, is refused until one does.
//
// # What it refuses
//
// It answers only for paths that a rule can follow: a port, one 802.1Q tag, a bridge
// that filters no VLANs, an active-backup bond, and a VRF around them. Tunnels, TOS
// routing, bonds that spread packets and flows under an IPsec policy are refused with
// the reason and a sentence. Without an Observer so are multipath routes, marks that
// nobody declared, and a source that could lawfully arrive by several ports: where a
// packet enters is then not known, only deduced.
package route
