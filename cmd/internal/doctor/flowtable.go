package doctor

import (
	"context"
	"encoding/binary"
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
	tables, err := h.tables()
	switch {
	case errors.Is(err, unix.EPERM):
		f.Level, f.Text = Warn, "could not be listed without CAP_NET_ADMIN"
		f.Mend = h.again()
	case err != nil && !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EINVAL):
		f.Level, f.Text = Warn, "could not be listed: "+err.Error()
	case len(tables) > 0:
		f.Level = Warn
		var names []string
		for _, t := range tables {
			names = append(names, t.name)
		}
		f.Text = fmt.Sprintf("%s: connections in them stay there (kernel_offloaded) and are not offered to the NIC", strings.Join(names, ", "))
		f.Mend = "take the \"flow add\" rules out of the nftables ruleset"
	}
	return []Finding{f}
}

// flowtable is one of nftables' flow tables.
type flowtable struct {
	name    string   // "inet filter ft"
	offload bool     // NFT_FLOWTABLE_HW_OFFLOAD: it puts flows into cards
	devices []string // whose ingress it hooks
}

// listFlowtables sends NFT_MSG_GETFLOWTABLE for every family.
func listFlowtables() ([]flowtable, error) {
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
	var out []flowtable
	for _, m := range msgs {
		t, err := parseFlowtable(m.Data)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b flowtable) int { return strings.Compare(a.name, b.name) })
	return out, nil
}

// nfFamilies are the words of nft(8) for nfgenmsg.nfgen_family.
var nfFamilies = map[byte]string{unix.NFPROTO_INET: "inet", unix.NFPROTO_IPV4: "ip", unix.NFPROTO_IPV6: "ip6", unix.NFPROTO_NETDEV: "netdev"}

// Attributes of a flow table (enum nft_flowtable_attributes and its nests).
const (
	flowtableTable    = 1 // NFTA_FLOWTABLE_TABLE
	flowtableNameAttr = 2 // NFTA_FLOWTABLE_NAME
	flowtableHook     = 3 // NFTA_FLOWTABLE_HOOK
	flowtableFlags    = 7 // NFTA_FLOWTABLE_FLAGS, big endian
	hookDevices       = 3 // NFTA_FLOWTABLE_HOOK_DEVS
	deviceName        = 1 // NFTA_DEVICE_NAME
	hwOffload         = 1 // NFT_FLOWTABLE_HW_OFFLOAD
)

// parseFlowtable reads family, names, devices and flags.
func parseFlowtable(data []byte) (flowtable, error) {
	var t flowtable
	if len(data) < 4 {
		return t, fmt.Errorf("flow table message of %d bytes", len(data))
	}
	ad, err := netlink.NewAttributeDecoder(data[4:])
	if err != nil {
		return t, fmt.Errorf("flow table message: %w", err)
	}
	var table, name string
	for ad.Next() {
		switch ad.Type() {
		case flowtableTable:
			table = ad.String()
		case flowtableNameAttr:
			name = ad.String()
		case flowtableFlags:
			if b := ad.Bytes(); len(b) == 4 {
				t.offload = binary.BigEndian.Uint32(b)&hwOffload != 0
			}
		case flowtableHook:
			ad.Nested(t.hook)
		}
	}
	if err := ad.Err(); err != nil {
		return t, fmt.Errorf("flow table message: %w", err)
	}
	t.name = strings.TrimSpace(nfFamilies[data[0]] + " " + table + " " + name)
	return t, nil
}

func (t *flowtable) hook(ad *netlink.AttributeDecoder) error {
	for ad.Next() {
		if ad.Type() != hookDevices {
			continue
		}
		ad.Nested(func(ad *netlink.AttributeDecoder) error {
			for ad.Next() {
				if ad.Type() == deviceName {
					t.devices = append(t.devices, ad.String())
				}
			}
			return ad.Err()
		})
	}
	return ad.Err()
}
