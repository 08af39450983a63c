package archtest

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// habits are the checks of one file by itself.
func (f *file) habits() []string {
	var out []string
	if !f.generated && f.lines > maxLines {
		out = append(out, fmt.Sprintf("%s: %d lines, at most %d", f.name, f.lines, maxLines))
	}
	if !f.generated {
		for _, line := range f.inits {
			out = append(out, fmt.Sprintf("%s:%d: init function; call it from where it is needed", f.name, line))
		}
	}
	for _, part := range append(strings.Split(f.dir, "/"), strings.TrimSuffix(f.pkg, "_test")) {
		if slices.Contains(nameless, part) {
			out = append(out, fmt.Sprintf("%s: package name %q says nothing about what it holds", f.dir, part))
			break
		}
	}
	return out
}

// docs asks each package that is not a program for a doc.go that begins with
// "Package name". Packages of generated code alone carry their words in the
// source that they were generated from.
func docs(files []*file) []string {
	type pack struct {
		name         string
		hand, hasDoc bool
		doc          string
	}
	packs := map[string]*pack{}
	for _, f := range files {
		if f.test {
			continue
		}
		p := packs[f.dir]
		if p == nil {
			p = &pack{name: f.pkg}
			packs[f.dir] = p
		}
		p.hand = p.hand || !f.generated
		if path.Base(f.name) == "doc.go" {
			p.hasDoc, p.doc = true, f.doc
		}
	}
	var out []string
	for dir, p := range packs {
		switch {
		case p.name == "main" || !p.hand:
		case !p.hasDoc:
			out = append(out, dir+": no doc.go")
		case !strings.HasPrefix(p.doc, "Package "+p.name+" "):
			out = append(out, fmt.Sprintf("%s/doc.go: begins not with %q", dir, "Package "+p.name))
		}
	}
	return out
}
