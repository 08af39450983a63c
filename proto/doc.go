// Package proto holds shunt's gRPC API, version shunt.v1, and the Go code made
// from it (folder shunt/v1, committed, never edited by hand).
//
// It is what others may ask of shunt. It is not the daemon's own vocabulary:
// package cmd/internal/rpc turns one into the other, and nothing else knows both.
// Enum values are spelled as the closed lists of packages hwif, flow and offload,
// and a test of package rpc holds them together.
//
// A change keeps old clients working: `buf breaking` compares with the last
// release.
package proto

//go:generate go tool -modfile=../tools/go.mod buf format -w
//go:generate go tool -modfile=../tools/go.mod buf lint
//go:generate go tool -modfile=../tools/go.mod buf generate
