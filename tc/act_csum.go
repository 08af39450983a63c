package tc

import "github.com/shunt-offload/shunt/hwif"

const (
	csumParms  = 1 // TCA_CSUM_PARMS
	csumIPv4   = 1 // TCA_CSUM_UPDATE_FLAG_IPV4HDR
	csumTCP    = 8
	csumUDP    = 16
	sizeofCsum = sizeofGen + 4
)

// csumFlags are the checksums that the rule's rewriting touches, exactly: nfp
// wants neither less nor more.
func csumFlags(f *Filter) uint32 {
	m, set := &f.Rule.Match, f.Rule.Actions.Set
	flags := uint32(0)
	if m.Family == hwif.IPv4 && set&hwif.ActionsOf(hwif.ActDecTTL, hwif.ActIPSrc, hwif.ActIPDst) != 0 {
		flags = csumIPv4
	}
	if set&hwif.ActionsOf(hwif.ActIPSrc, hwif.ActIPDst, hwif.ActL4Src, hwif.ActL4Dst) != 0 {
		switch m.Proto {
		case hwif.ProtoTCP:
			flags |= csumTCP
		case hwif.ProtoUDP:
			flags |= csumUDP
		}
	}
	return flags
}

func writeCsum(b []byte, f *Filter, _ *Shape) []byte {
	b = gen(attrHead(b, csumParms, sizeofCsum), actPipe)
	return ne.AppendUint32(b, csumFlags(f))
}
