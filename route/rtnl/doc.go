// Package rtnl is rtnetlink and XFRM as bytes: builders for the few requests
// that package route sends, parsers for what the kernel says, one socket for
// requests (Conn) and one for notifications (Monitor).
//
// It is not a netlink library: it knows the attributes that decide how a packet
// is forwarded, and nothing else. It never sees a flow.
//
// The look-up (Ask, Conn.Lookup) is the hot path: up to 64 RTM_GETROUTE in one
// send, answers read with recvmmsg, nothing allocated. The kernel answers such a
// request inside sendto, so answers are waiting when it returns and no read blocks.
//
// Parsers take the bytes after the netlink header and never panic: a message
// that is cut short gives ok == false. What they return holds no reference to
// the bytes they were given.
package rtnl
