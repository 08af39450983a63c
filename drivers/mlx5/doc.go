// Package mlx5 is the driver of NVIDIA ConnectX and BlueField cards (kernel driver
// mlx5_core), and of the emulated card that plays one.
//
// In switchdev mode its rules join representors with each other and with their
// uplink, and one uplink's VLANs where the firmware can; two uplinks never. In
// legacy mode they join the two PFs of one card by hairpin queues, without VLAN
// actions. Facts are the kernel's mlx5/core/en_tc.c and what lies beside it.
//
// The card decrements TTL without an end, so guards before all flows give TTL 0
// and 1 to the kernel. Checksums follow by themselves. Popping and pushing a tag in
// one rule changes its id and keeps its PCP: such rules match PCP 0 only.
package mlx5
