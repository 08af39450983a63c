// Package rpctest is a host for tests of the API and its clients: a real engine
// in its real loop, a real server on a unix socket, and around them a conntrack,
// a router and a device that live in memory and do what the test says.
//
// It is not a model of a kernel or a card (package sim is): its device keeps
// rules and counts what it is told, and forwards nothing.
//
// The caller owns a Host and ends it with Close.
package rpctest
