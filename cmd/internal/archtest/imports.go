package archtest

import (
	"fmt"
	"strings"
)

// imports holds one file's imports against the tables.
func (f *file) imports() []string {
	var out []string
	for _, path := range f.paths {
		if why := f.refuse(path); why != "" {
			out = append(out, fmt.Sprintf("%s: imports %q: %s", f.name, path, why))
		}
	}
	return out
}

func (f *file) refuse(path string) string {
	if path == Module || strings.HasPrefix(path, Module+"/") {
		return f.refuseOurs(strings.TrimPrefix(strings.TrimPrefix(path, Module), "/"))
	}
	if first, _, _ := strings.Cut(path, "/"); !strings.Contains(first, ".") {
		return "" // the standard library
	}
	for _, m := range testModules {
		if within(path, m+"/...") {
			if f.test || matches(f.dir, forTests) {
				return ""
			}
			return "for tests only"
		}
	}
	for _, r := range outside {
		if within(path, r.pkg+"/...") {
			if matches(f.dir, r.may) {
				return ""
			}
			// A test may need the kernel or a client to look at what its package did,
			// but the engine's tests have no more business there than the engine.
			if f.test && !within(f.dir, "hwif/...") {
				return ""
			}
			return "only in " + strings.Join(r.may, ", ")
		}
	}
	return "no row in archtest's table names this module"
}

func (f *file) refuseOurs(pkg string) string {
	if pkg == f.dir { // an external test
		return ""
	}
	r, ok := rowOf(f.dir)
	if !ok {
		return "no row in archtest's table names " + f.dir
	}
	if matches(pkg, r.may) || (f.test && matches(pkg, tests)) {
		return ""
	}
	if len(r.may) == 0 {
		return f.dir + " imports nothing of ours"
	}
	return f.dir + " may import " + strings.Join(r.may, ", ")
}

// rowOf finds the most exact row for a folder.
func rowOf(dir string) (row, bool) {
	var best row
	found := false
	for _, r := range ours {
		if within(dir, r.pkg) && (!found || len(strings.TrimSuffix(r.pkg, "/...")) > len(strings.TrimSuffix(best.pkg, "/..."))) {
			best, found = r, true
		}
	}
	return best, found
}

func matches(path string, patterns []string) bool {
	for _, p := range patterns {
		if within(path, p) {
			return true
		}
	}
	return false
}

// within reports whether path is pattern, or lies below it when it ends in "...".
func within(path, pattern string) bool {
	if pattern == "..." {
		return true
	}
	root, tree := strings.CutSuffix(pattern, "/...")
	return path == root || tree && strings.HasPrefix(path, root+"/")
}
