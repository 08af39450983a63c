package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// flowtables lists nftables' flow tables: connections in them are the kernel's
// own fast path's (IPS_OFFLOAD), and conntrack no longer sees their packets.
func flowtables(_ context.Context, h *host) []Finding {
	f := Finding{Name: "flowtable", Text: "no nftables flow table takes connections away"}
	tables, err := listFlowtables()
	switch {
	case errors.Is(err, unix.EPERM):
		f.Level, f.Text = Warn, "could not be listed without CAP_NET_ADMIN"
		f.Mend = h.again()
	case err != nil && !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EINVAL):
		f.Level, f.Text = Warn, "could not be listed: "+err.Error()
	case len(tables) > 0:
		f.Level = Warn
		f.Text = fmt.Sprintf("%s: connections in them stay there (kernel_offloaded) and are not offered to the NIC", strings.Join(tables, ", "))
		f.Mend = "take the \"flow add\" rules out of the nftables ruleset"
	}
	return []Finding{f}
}

// listFlowtables sends NFT_MSG_GETFLOWTABLE for every family.
func listFlowtables() ([]string, error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	msgs, err := c.Execute(netlink.Message{
		Header: netlink.Header{
			Type:  netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETFLOWTABLE),
			Flags: netlink.Request | netlink.Dump,
		},
		Data: make([]byte, 4), // struct nfgenmsg: NFPROTO_UNSPEC, all families
	})
	if err != nil {
		return nil, err
	}
	var out []string
	for _, m := range msgs {
		name, err := flowtableName(m.Data)
		if err != nil {
			return nil, err
		}
		out = append(out, name)
	}
	slices.Sort(out)
	return out, nil
}

// nfFamilies are the words of nft(8) for nfgenmsg.nfgen_family.
var nfFamilies = map[byte]string{unix.NFPROTO_INET: "inet", unix.NFPROTO_IPV4: "ip", unix.NFPROTO_IPV6: "ip6", unix.NFPROTO_NETDEV: "netdev"}

// Attributes of a flow table (enum nft_flowtable_attributes).
const (
	flowtableTable    = 1 // NFTA_FLOWTABLE_TABLE
	flowtableNameAttr = 2 // NFTA_FLOWTABLE_NAME
)

// flowtableName reads family, NFTA_FLOWTABLE_TABLE and NFTA_FLOWTABLE_NAME.
func flowtableName(data []byte) (string, error) {
	if len(data) < 4 {
		return "", fmt.Errorf("flow table message of %d bytes", len(data))
	}
	ad, err := netlink.NewAttributeDecoder(data[4:])
	if err != nil {
		return "", fmt.Errorf("flow table message: %w", err)
	}
	var table, name string
	for ad.Next() {
		switch ad.Type() {
		case flowtableTable:
			table = ad.String()
		case flowtableNameAttr:
			name = ad.String()
		}
	}
	if err := ad.Err(); err != nil {
		return "", fmt.Errorf("flow table message: %w", err)
	}
	return strings.TrimSpace(nfFamilies[data[0]] + " " + table + " " + name), nil
}
