package rtnl

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// Numbers of include/uapi/linux/netfilter/nf_tables.h and nfnetlink.h.
const (
	nfnlGroupNFTables = 7 // NFNLGRP_NFTABLES
	nfgenmsgLen       = 4
	nftaGenPID        = 2 // NFTA_GEN_PROC_PID
	nftaGenName       = 3 // NFTA_GEN_PROC_NAME

	// NewGen is the type of the message that ends every commit of nf_tables.
	NewGen = unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_NEWGEN
)

// NewRulesetMonitor subscribes to changes of nf_tables, which is what nft and the
// iptables of today write. xt_tables, which iptables-legacy writes, announces nothing.
func NewRulesetMonitor(rcvBuf int) (*Monitor, error) {
	fd, err := open(unix.NETLINK_NETFILTER, rcvBuf)
	if err != nil {
		return nil, fmt.Errorf("open nf_tables notification socket: %w", err)
	}
	if err := join(fd, nfnlGroupNFTables); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return monitor(fd, "nf_tables", OfRuleset)
}

// ParseGen says who made a new generation: "nft (pid 12)", empty when the kernel
// does not say.
func ParseGen(b []byte) string {
	if len(b) < nfgenmsgLen {
		return ""
	}
	name, pid := "", uint32(0)
	for typ, v := range attrs(b[nfgenmsgLen:]) {
		switch {
		case typ == nftaGenPID && len(v) >= 4:
			pid = binary.BigEndian.Uint32(v)
		case typ == nftaGenName:
			name = unix.ByteSliceToString(v)
		}
	}
	if name == "" {
		return ""
	}
	return fmt.Sprintf("%s (pid %d)", name, pid)
}
