package tc

import (
	"fmt"

	"github.com/shunt-offload/shunt/hwif"
)

// Check says what stands against writing the filter in this shape. It is an
// *hwif.Error of KindUnsupported that names the field or action.
func Check(f *Filter, s *Shape) error {
	if err := checkMatch(f); err != nil {
		return err
	}
	if err := checkActions(f, s); err != nil {
		return err
	}
	return checkValues(f)
}

// checkValues is the part of Check that a filter's make does not decide.
func checkValues(f *Filter) error {
	if f.Rule.Actions.MTU != 0 {
		return refusal(&f.Rule, "mtu", "flower compares no lengths; a device without guard has rules without MTU")
	}
	if f.Block == 0 && f.Rule.Match.Fields.Has(hwif.FieldInPort) && f.Rule.Match.InPort != f.Ifindex {
		return refusal(&f.Rule, hwif.FieldInPort.String(), "is not the filter's device")
	}
	return nil
}

// Netlink flags of the messages (include/uapi/linux/netlink.h).
const (
	flagRequest = 1
	flagAck     = 4
	flagEcho    = 8
	flagDump    = 0x300
	flagReplace = 0x100
	flagExcl    = 0x200
	flagCreate  = 0x400
	flagDumpInt = 0x10 // NLM_F_DUMP_INTR
)

// appendNew writes RTM_NEWTFILTER. The filter has passed Check.
func appendNew(b []byte, flags uint16, seq uint32, f *Filter, s *Shape) []byte {
	b, at := header(b, rtmNewFilter, flagRequest|flags, seq)
	f.Protocol = s.protocol(&f.Rule.Match, f.AnyTag)
	b = tcmsg(b, &f.Place, f.Handle, f.Protocol)
	b = kindAndChain(b, f.Chain)
	b, opts := nest(b, tcaOptions)
	fields := f.Rule.Match.Fields
	for i := range keys {
		if fields.Has(keys[i].field) {
			b = keys[i].write(b, f, s)
		}
	}
	b = writeActs(b, f, s)
	b = attrU32(b, flowerFlags, uint32(SkipSW))
	b = unnest(b, opts)
	return finish(b, at)
}

// appendByHandle writes RTM_DELTFILTER or RTM_GETTFILTER for one filter. Chain,
// prio, protocol, handle and kind together keep the kernel off the RTNL lock
// (cls_api.c:tc_del_tfilter).
func appendByHandle(b []byte, typ, flags uint16, seq uint32, f *Filter) []byte {
	b, at := header(b, typ, flagRequest|flags, seq)
	b = tcmsg(b, &f.Place, f.Handle, f.Protocol)
	b = kindAndChain(b, f.Chain)
	return finish(b, at)
}

func kindAndChain(b []byte, chain uint32) []byte {
	b = attrString(b, tcaKind, "flower")
	if chain != 0 {
		b = attrU32(b, tcaChain, chain)
	}
	return b
}

// tcmsg writes struct tcmsg: prio and protocol share tcm_info, the protocol in
// network order.
func tcmsg(b []byte, p *Place, handle uint32, proto uint16) []byte {
	b = append(b, 0, 0, 0, 0)
	if p.Block != 0 {
		b = ne.AppendUint32(b, blockMagic)
		b = ne.AppendUint32(b, handle)
		b = ne.AppendUint32(b, p.Block)
	} else {
		b = ne.AppendUint32(b, uint32(p.Ifindex))
		b = ne.AppendUint32(b, handle)
		b = ne.AppendUint32(b, parentIngress)
	}
	return ne.AppendUint32(b, uint32(p.Prio)<<16|uint32(swap(proto)))
}

// swap is htons.
func swap(v uint16) uint16 { return v<<8 | v>>8 }

// Append writes the message that adds the filter, for benchmarks and for those
// who send it themselves. The error is Check's, or says which number is missing.
func Append(b []byte, seq uint32, f *Filter, s *Shape) ([]byte, error) {
	if err := complete(f); err != nil {
		return b, err
	}
	if err := Check(f, s); err != nil {
		return b, err
	}
	return appendNew(b, flagAck|flagCreate|flagExcl, seq, f, s), nil
}

// AppendDelete writes the message that deletes the filter; its Protocol, when 0,
// is what Append would give it.
func AppendDelete(b []byte, seq uint32, f *Filter, s *Shape) ([]byte, error) {
	if err := complete(f); err != nil {
		return b, err
	}
	if f.Protocol == 0 {
		f.Protocol = s.protocol(&f.Rule.Match, f.AnyTag)
	}
	return appendByHandle(b, rtmDelFilter, flagAck, seq, f), nil
}

// complete refuses numbers for which the kernel would take its own.
func complete(f *Filter) error {
	switch {
	case f.Prio == 0:
		return &hwif.Error{Op: "install", Device: "tc", Cookie: f.Rule.Cookie, Kind: hwif.KindInvalid, Field: "prio", Text: "is 0"}
	case f.Handle == 0:
		return &hwif.Error{Op: "install", Device: "tc", Cookie: f.Rule.Cookie, Kind: hwif.KindInvalid, Field: "handle", Text: "is 0"}
	case f.Ifindex == 0 && f.Block == 0:
		return &hwif.Error{Op: "install", Device: "tc", Cookie: f.Rule.Cookie, Kind: hwif.KindInvalid, Field: "dev", Text: "neither interface nor block"}
	case f.Handle > maxHandle:
		return &hwif.Error{Op: "install", Device: "tc", Cookie: f.Rule.Cookie, Kind: hwif.KindInvalid, Field: "handle", Text: fmt.Sprintf("%#x is above %#x", f.Handle, maxHandle)}
	}
	return nil
}

// maxHandle is the largest that flower's IDR takes (cls_flower.c: INT_MAX).
const maxHandle = 0x7fffffff
