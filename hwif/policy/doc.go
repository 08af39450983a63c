// Package policy answers one question: is this flow worth a slot now? It sees
// numbers only, and decides nothing about routes, ports or rules.
package policy
