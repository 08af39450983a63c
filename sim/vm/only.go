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

// tagged tells a file that is built with the tag vm and not without it.
func tagged(source string) bool {
	for line := range strings.Lines(source) {
		if strings.HasPrefix(line, "package ") {
			return false
		}
		if !constraint.IsGoBuild(line) {
			continue
		}
		expr, err := constraint.Parse(strings.TrimSpace(line))
		if err != nil {
			return false
		}
		host := func(tag string) bool { return slices.Contains([]string{"linux", "amd64", "unix"}, tag) }
		return expr.Eval(func(tag string) bool { return host(tag) || tag == "vm" }) && !expr.Eval(host)
	}
	return false
}
