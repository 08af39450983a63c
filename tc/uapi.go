package tc

// enum in include/uapi/linux/rtnetlink.h.
const (
	rtmNewQdisc  = 36
	rtmDelQdisc  = 37
	rtmGetQdisc  = 38
	rtmNewFilter = 44 // RTM_NEWTFILTER
	rtmDelFilter = 45
	rtmGetFilter = 46

	tcaKind          = 1
	tcaOptions       = 2
	tcaChain         = 11
	tcaIngressBlock  = 13
	tcaDumpFlags     = 15
	terseDump        = 1          // TCA_DUMP_FLAGS_TERSE
	blockMagic       = 0xFFFFFFFF // TCM_IFINDEX_MAGIC_BLOCK
	parentIngress    = 0xFFFFFFF2 // TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)
	parentEgress     = 0xFFFFFFF3 // TC_H_MIN_EGRESS
	parentClsact     = 0xFFFFFFF1 // TC_H_CLSACT, the place of the qdisc
	handleClsact     = 0xFFFF0000 // its handle, ffff:
	groupTC          = 4          // RTNLGRP_TC
	sizeofTcmsg      = 20
	sizeofNlmsghdr   = 16
	etherAll         = 0x0003 // ETH_P_ALL
	etherVLAN        = 0x8100 // ETH_P_8021Q
	bitfieldNoPercpu = 1      // TCA_ACT_FLAGS_NO_PERCPU_STATS
)

// enum in pkt_cls.h: TCA_FLOWER_*.
const (
	flowerAct       = 3
	flowerEthDst    = 4
	flowerEthDstM   = 5
	flowerEthType   = 8
	flowerIPProto   = 9
	flowerIPv4Src   = 10
	flowerIPv4SrcM  = 11
	flowerIPv4Dst   = 12
	flowerIPv4DstM  = 13
	flowerIPv6Src   = 14
	flowerIPv6SrcM  = 15
	flowerIPv6Dst   = 16
	flowerIPv6DstM  = 17
	flowerTCPSrc    = 18
	flowerTCPDst    = 19
	flowerUDPSrc    = 20
	flowerUDPDst    = 21
	flowerFlags     = 22
	flowerVLANID    = 23
	flowerVLANPrio  = 24
	flowerVLANEth   = 25
	flowerTCPSrcM   = 35
	flowerTCPDstM   = 36
	flowerUDPSrcM   = 37
	flowerUDPDstM   = 38
	flowerKeyFlags  = 47
	flowerKeyFlagsM = 48
	flowerTCPFlags  = 71
	flowerTCPFlagsM = 72
	flowerTTL       = 75
	flowerTTLM      = 76
	flowerInHWCount = 86
)

// Bits of TCA_FLOWER_KEY_FLAGS.
const keyFlagIsFragment = 1

// enum in include/uapi/linux/pkt_cls.h: TCA_ACT_*.
const (
	actKind      = 1
	actOptions   = 2
	actIndex     = 3
	actStats     = 4
	actPad       = 5
	actCookie    = 6
	actFlags     = 7
	actHWStats   = 8
	actUsedStats = 9
	actInHWCount = 10
)

// What an action does next, TC_ACT_*.
const (
	actOK     = 0
	actShot   = 2
	actPipe   = 3
	actStolen = 4
	actTrap   = 8
)

// sizeofGen is tc_gen, with which each action's parameters begin: index, capab,
// action, refcnt, bindcnt.
const sizeofGen = 20

// enum in gen_stats.h: TCA_STATS_*.
const (
	statsBasic   = 1
	statsBasicHW = 7
	statsPkt64   = 8
)

// Flags are a filter's flags, TCA_CLS_FLAGS_*, letter for letter as tc prints them.
type Flags uint32

// The bits of Flags; InHW and NotInHW are the kernel's answer.
const (
	SkipHW  Flags = 1
	SkipSW  Flags = 2
	InHW    Flags = 4
	NotInHW Flags = 8
	Verbose Flags = 16
)
