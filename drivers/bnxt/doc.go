// Package bnxt recognises Broadcom's cards and refuses them: their kernel driver
// (bnxt_tc.c) accepts rules of routed flows and does not do what they say. It has no
// TTL to change, ignores TCP flags and most other keys without an error, and skips
// actions that it does not know.
package bnxt
