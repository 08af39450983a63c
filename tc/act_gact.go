package tc

const gactParms = 2 // TCA_GACT_PARMS

func writeDrop(b []byte, _ *Filter, _ *Shape) []byte {
	return gen(attrHead(b, gactParms, sizeofGen), actShot)
}

func writeTrap(b []byte, _ *Filter, _ *Shape) []byte {
	return gen(attrHead(b, gactParms, sizeofGen), actTrap)
}
