// Package filter is the small language in which clients say which flows they
// mean. A filter is terms separated by spaces, and all of them must hold:
//
//	state=active,installed proto=tcp dst=10.0.0.0/8 reason!=below_threshold pinned
//
//	filter = [ term { " " term } ]
//	term   = key ( "=" | "!=" ) value { "," value }    one of the values / none of them
//	       | [ "!" ] flag
//
// Keys lists the keys, Flags the flags. Addresses and ports are asked of both
// sides of a NAT: dst= finds a flow by the address that the client called and by
// the one that it was sent on to.
//
// It is not a query language: no brackets, no comparisons, no functions. It
// reads offload.View values and changes nothing. A Filter is immutable, and any
// number of goroutines may use one.
package filter
