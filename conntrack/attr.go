package conntrack

import "golang.org/x/sys/unix"

// Message types, enum cntl_msg_types (linux/netfilter/nfnetlink_conntrack.h).
const (
	msgNew      = 0 // IPCTNL_MSG_CT_NEW
	msgGet      = 1 // IPCTNL_MSG_CT_GET
	msgDelete   = 2 // IPCTNL_MSG_CT_DELETE
	msgGetStats = 5 // IPCTNL_MSG_CT_GET_STATS

	typeNew      = unix.NFNL_SUBSYS_CTNETLINK<<8 | msgNew
	typeGet      = unix.NFNL_SUBSYS_CTNETLINK<<8 | msgGet
	typeDelete   = unix.NFNL_SUBSYS_CTNETLINK<<8 | msgDelete
	typeGetStats = unix.NFNL_SUBSYS_CTNETLINK<<8 | msgGetStats
)

// Attributes, enum ctattr_type.
const (
	ctaTupleOrig     = 1
	ctaTupleReply    = 2
	ctaStatus        = 3
	ctaProtoinfo     = 4
	ctaHelp          = 5
	ctaTimeout       = 7
	ctaMark          = 8
	ctaCountersOrig  = 9
	ctaCountersReply = 10
	ctaID            = 12
	ctaSeqAdjOrig    = 15
	ctaSeqAdjReply   = 16
	ctaZone          = 18
	ctaTimestamp     = 20
	ctaSynproxy      = 24
	ctaStatusMask    = 26
)

// Nested attributes: enum ctattr_tuple, ctattr_ip, ctattr_l4proto,
// ctattr_protoinfo, ctattr_protoinfo_tcp, ctattr_counters, ctattr_tstamp.
const (
	ctaTupleIP    = 1
	ctaTupleProto = 2
	ctaTupleZone  = 3

	ctaIPv4Src = 1
	ctaIPv4Dst = 2
	ctaIPv6Src = 3
	ctaIPv6Dst = 4

	ctaProtoNum     = 1
	ctaProtoSrcPort = 2
	ctaProtoDstPort = 3

	ctaProtoinfoTCP           = 1
	ctaProtoinfoTCPState      = 1
	ctaProtoinfoTCPFlagsOrig  = 4
	ctaProtoinfoTCPFlagsReply = 5

	ctaCountersPackets = 1
	ctaCountersBytes   = 2

	ctaTimestampStart = 1
)

// TCP flags of conntrack's window tracking (IP_CT_TCP_FLAG_*).
const (
	tcpBeLiberal   = 0x08
	tcpDataUnack   = 0x10
	tcpMaxackSet   = 0x20
	tcpReadyValue  = tcpBeLiberal
	tcpReadyMask   = tcpBeLiberal | tcpDataUnack | tcpMaxackSet
	nlaTypeMask    = 0x3fff // less NLA_F_NESTED and NLA_F_NET_BYTEORDER
	nlaNested      = 0x8000
	headerLen      = 16 // struct nlmsghdr
	attrsAt        = 20 // attributes follow nlmsghdr and nfgenmsg
	nlmsgDoneType  = unix.NLMSG_DONE
	nlmsgErrorType = unix.NLMSG_ERROR
)

// attrNames is for messages to people.
var attrNames = map[uint16]string{
	ctaTupleOrig: "CTA_TUPLE_ORIG", ctaTupleReply: "CTA_TUPLE_REPLY", ctaStatus: "CTA_STATUS",
	ctaProtoinfo: "CTA_PROTOINFO", ctaHelp: "CTA_HELP", ctaTimeout: "CTA_TIMEOUT", ctaMark: "CTA_MARK",
	ctaCountersOrig: "CTA_COUNTERS_ORIG", ctaCountersReply: "CTA_COUNTERS_REPLY", ctaID: "CTA_ID",
	ctaSeqAdjOrig: "CTA_SEQ_ADJ_ORIG", ctaSeqAdjReply: "CTA_SEQ_ADJ_REPLY", ctaZone: "CTA_ZONE",
	ctaTimestamp: "CTA_TIMESTAMP", ctaSynproxy: "CTA_SYNPROXY",
}
