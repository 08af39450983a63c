package vm

import (
	"go/build/constraint"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// testFunc finds a file's tests.
var testFunc = regexp.MustCompile(`(?m)^func (Test[A-Z0-9_]\w*)\(\w+ \*testing\.T\)`)

// only is the -test.run pattern for a package's tests that want the guest: those in
// files that are not built without the tag vm. The rest runs anywhere, and quicker.
// It is empty when there are none.
func only(dir string) (string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		return "", err
	}
	var names []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return "", err
		}
		if !tagged(string(text)) {
			continue
		}
		for _, m := range testFunc.FindAllStringSubmatch(string(text), -1) {
			if m[1] != "TestMain" {
				names = append(names, m[1])
			}
		}
	}
	if len(names) == 0 {
		return "", nil
	}
	slices.Sort(names)
	return "^(" + strings.Join(names, "|") + ")$", nil
}

// wantsGuest tells a test file that is built for the guest alone by its first
// lines. Others ("netns || vm") come along when their package has one of those.
func wantsGuest(source string) bool { return tagged(source) && !builtWith(source, "netns") }

// tagged tells a file that is built with the tag vm and not without it.
func tagged(source string) bool { return builtWith(source, "vm") && !builtWith(source, "") }

// builtWith reports whether a tag has a file built on Linux.
func builtWith(source, tag string) bool {
	for line := range strings.Lines(source) {
		if strings.HasPrefix(line, "package ") {
			break
		}
		if constraint.IsGoBuild(line) {
			expr, err := constraint.Parse(strings.TrimSpace(line))
			return err == nil && expr.Eval(func(t string) bool { return slices.Contains([]string{"linux", "amd64", "unix", tag}, t) })
		}
	}
	return true
}
