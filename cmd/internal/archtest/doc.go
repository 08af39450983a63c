// Package archtest keeps the shape of the tree: who may import whom, which
// outside modules may appear where, and the few habits that a machine can check
// (a doc.go in each package, short files, no init functions, no package that is
// named after nothing).
//
// It is a test and nothing else; no program imports it. The rules stand in
// table.go, one line each, and are held against the source files themselves,
// which the test opens and parses: so that Go's test cache sees which files the
// verdict rests on. The checks take an fs.FS, and the package's own tests feed
// them small trees with one breach each.
package archtest
