package tc

const (
	mirredParms   = 2 // TCA_MIRRED_PARMS
	egressRedir   = 1 // TCA_EGRESS_REDIR
	sizeofMirred  = sizeofGen + 8
	mirredAction  = sizeofGen
	mirredIfindex = sizeofGen + 4
)

func writeMirred(b []byte, f *Filter, _ *Shape) []byte {
	b = gen(attrHead(b, mirredParms, sizeofMirred), actStolen)
	b = ne.AppendUint32(b, egressRedir)
	return ne.AppendUint32(b, uint32(f.Rule.Actions.OutPort))
}
