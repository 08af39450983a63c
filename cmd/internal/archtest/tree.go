package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// file is what the checks need to know of one Go file.
type file struct {
	name      string // path from the root
	dir       string // its folder, "." for the root
	pkg       string // package clause
	paths     []string
	test      bool // _test.go
	generated bool
	lines     int
	inits     []int // lines of init functions
	doc       string
}

// read parses every Go file of the module; testdata, hidden folders and nested
// modules are left out.
func read(tree fs.FS) ([]*file, error) {
	var out []*file
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skipDir(tree, name)
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		f, err := parse(tree, name)
		if err != nil {
			return err
		}
		out = append(out, f)
		return nil
	})
	return out, err
}

func skipDir(tree fs.FS, name string) error {
	if name == "." {
		return nil
	}
	base := path.Base(name)
	if base == "testdata" || base == "bin" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return fs.SkipDir
	}
	if _, err := fs.Stat(tree, path.Join(name, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

func parse(tree fs.FS, name string) (*file, error) {
	src, err := fs.ReadFile(tree, name)
	if err != nil {
		return nil, err
	}
	set := token.NewFileSet()
	af, err := parser.ParseFile(set, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	f := &file{
		name: name, dir: path.Dir(name), pkg: af.Name.Name, test: strings.HasSuffix(name, "_test.go"),
		generated: ast.IsGenerated(af), lines: bytes.Count(src, []byte("\n")), doc: af.Doc.Text(),
	}
	for _, im := range af.Imports {
		p, err := strconv.Unquote(im.Path.Value)
		if err != nil {
			return nil, fmt.Errorf("%s: import %s: %w", name, im.Path.Value, err)
		}
		f.paths = append(f.paths, p)
	}
	for _, decl := range af.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			f.inits = append(f.inits, set.Position(fn.Pos()).Line)
		}
	}
	return f, nil
}

// Check reads a module's tree and gives one line per breach, sorted.
func Check(tree fs.FS) ([]string, error) {
	files, err := read(tree)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, f := range files {
		out = append(out, f.imports()...)
		out = append(out, f.habits()...)
	}
	out = append(out, docs(files)...)
	slices.Sort(out)
	return slices.Compact(out), nil
}
