package tc

const gactParms = 2 // TCA_GACT_PARMS

func writeDrop(b []byte, _ *Filter, _ *Shape) []byte {
	return gen(attrHead(b, gactParms, sizeofGen), actShot)
}

func writeTrap(b []byte, _ *Filter, s *Shape) []byte {
	return gen(attrHead(b, gactParms, sizeofGen), s.toKernel())
}

// toKernel is the verdict that gives a frame to the kernel.
func (s *Shape) toKernel() uint32 {
	if s.Accept {
		return actOK
	}
	return actTrap
}
