// Package wire is rtnetlink links, devlink and ethtool as bytes: parsers for
// the attributes that discovery needs, builders for the few requests that it
// sends. It knows no socket and keeps no state.
//
// Parsers take the bytes after the netlink header (rtnetlink) or after the
// generic netlink header (devlink, ethtool). They never panic, and what they
// return holds no reference to the bytes that they were given. A message that is
// cut short, or an attribute of a length that the kernel does not send, is an
// *Error which names it: half a port is not a port. Attributes that we don't
// know are skipped; of one that comes twice the last counts, as in the kernel.
package wire
