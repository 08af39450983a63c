// Package nfp is the driver of Netronome Agilio cards with the flower firmware, and
// of the emulated card that plays one.
//
// All ports of the card can be joined, two uplinks too. It sets header fields and
// cannot add, so a rule matches one TTL and writes the next lower: packets with
// another TTL go to the kernel. Checksums have to be asked for, exactly. Facts are
// the kernel's netronome/nfp/flower.
package nfp
