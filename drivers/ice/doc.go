// Package ice is the driver of Intel E800 cards in switchdev mode, and of the
// emulated card that plays one.
//
// The card drops and redirects, and no more: it rewrites nothing, so a routed flow
// cannot be had, and it counts nothing. What it is good for is a drop verdict that
// the kernel gave. Its kernel driver takes some rules wider than they are written
// (intel/ice/ice_tc_lib.c: keys of value zero, ip_proto without ports), and these
// are refused here, before they are sent.
package ice
