// Package rig puts shunt into a lab: shuntd on the router's ports, checked
// traffic through it, and the API to look at both. The demo and the end-to-end
// tests stand on it.
//
// Everything is a real program, started as an operator would start it, from
// files that Programs names. What the rig knows of shuntd it knows from its gRPC
// API, from shuntctl and from its log.
//
// The processes belong to the lab, whose Close ends them; the files belong to
// the caller, who gives a directory.
package rig
