// Package frame builds, parses and compares Ethernet frames for tests and
// scripted traffic. It leans on gopacket, computes every checksum from scratch
// and knows nothing of rules, so that what it says of a frame is independent of
// the pipelines under test.
//
// It is not a data path: it allocates, and a Spec that cannot be a frame is an
// error of the caller.
package frame
