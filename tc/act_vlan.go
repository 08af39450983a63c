package tc

const (
	vlanParms    = 2 // TCA_VLAN_PARMS
	vlanPushID   = 3 // TCA_VLAN_PUSH_VLAN_ID
	vlanPushTPID = 4 // TCA_VLAN_PUSH_VLAN_PROTOCOL
	vlanPushPrio = 6 // TCA_VLAN_PUSH_VLAN_PRIORITY
	vlanPop      = 1 // TCA_VLAN_ACT_POP
	vlanPush     = 2 // TCA_VLAN_ACT_PUSH
	sizeofVLAN   = sizeofGen + 4
)

func writePop(b []byte, _ *Filter, _ *Shape) []byte {
	b = gen(attrHead(b, vlanParms, sizeofVLAN), actPipe)
	return ne.AppendUint32(b, vlanPop)
}

func writePush(b []byte, f *Filter, _ *Shape) []byte {
	b = gen(attrHead(b, vlanParms, sizeofVLAN), actPipe)
	b = ne.AppendUint32(b, vlanPush)
	return attrU16(b, vlanPushID, uint16(f.Rule.Actions.VLAN))
}
