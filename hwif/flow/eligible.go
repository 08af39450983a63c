package flow

import "github.com/shunt-offload/shunt/hwif"

// Eligible says why conntrack itself keeps this entry out of hardware; empty
// when it does not. These are the tests of nf_flow_table and act_ct
// (nft_flow_offload_eval, tcf_ct_flow_table_process_conn), with ASSURED asked
// of UDP too. Route, port and device have their own say later.
func Eligible(e *Entry) Reasons {
	var rs Reasons
	const settled = StatusConfirmed | StatusSeenReply | StatusAssured
	if e.Status&settled != settled || e.Status&StatusTemplate != 0 {
		rs = rs.With(NotEstablished)
	}
	if e.Status&StatusDying != 0 {
		rs = rs.With(Closing)
	}
	if e.Status&StatusSeqAdjust != 0 || e.Has&(HasSeqAdj|HasSynproxy) != 0 {
		rs = rs.With(SeqAdjusted)
	}
	if e.Status&StatusNATClash != 0 {
		rs = rs.With(NATClash)
	}
	if e.Status&StatusHelper != 0 || e.Has&HasHelp != 0 {
		rs = rs.With(HelperAttached)
	}
	if e.Status&(StatusOffload|StatusHWOffload) != 0 {
		rs = rs.With(KernelOffloaded)
	}
	switch e.Orig.Proto {
	case hwif.ProtoTCP:
		rs = rs.With(tcpReason(e))
	case hwif.ProtoUDP:
	default:
		rs = rs.With(ProtocolUnsupported)
	}
	// A zone is visible on the wire only by port or VLAN, and nobody has
	// observed which: the same tuple may live in another zone.
	if e.Orig.Zone != 0 || e.Reply.Zone != 0 {
		rs = rs.With(RouteUnobserved)
	}
	// A time-out that cannot be written cannot be kept alive.
	if e.Status&StatusFixedTimeout != 0 {
		rs = rs.With(DisabledByPolicy)
	}
	return rs | unroutable(&e.Orig) | unroutable(&e.Reply)
}

// Droppable says why hardware may not drop an entry's packets; empty when it may.
// It need not be settled: what is dropped never is. alone says that there is no
// entry.
func Droppable(e *Entry, alone bool) Reasons {
	var rs Reasons
	if !alone && e.Status&StatusConfirmed == 0 {
		rs = rs.With(NotEstablished)
	}
	if e.Status&StatusDying != 0 {
		rs = rs.With(Closing)
	}
	if e.Status&(StatusOffload|StatusHWOffload) != 0 {
		rs = rs.With(KernelOffloaded)
	}
	if p := e.Orig.Proto; p != hwif.ProtoTCP && p != hwif.ProtoUDP {
		rs = rs.With(ProtocolUnsupported)
	}
	if e.Orig.Zone != 0 || e.Reply.Zone != 0 {
		rs = rs.With(RouteUnobserved)
	}
	return rs | unroutable(&e.Orig) | unroutable(&e.Reply)
}

func tcpReason(e *Entry) Reason {
	switch {
	case e.Has&HasTCP == 0 || e.TCPState < TCPEstablished || e.TCPState == TCPSynSent2:
		return NotEstablished
	case e.TCPState > TCPEstablished:
		return Closing
	}
	return ReasonNone
}

// unroutable is what the addresses alone rule out.
func unroutable(t *Tuple) Reasons {
	var rs Reasons
	src, dst := t.SrcAddr(), t.DstAddr()
	if src.IsMulticast() || dst.IsMulticast() {
		rs = rs.With(Multicast)
	}
	if src.IsLoopback() || dst.IsLoopback() || src.IsLinkLocalUnicast() || dst.IsLinkLocalUnicast() ||
		src.IsUnspecified() || dst.IsUnspecified() {
		rs = rs.With(Local)
	}
	return rs
}
