package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// PackageError says which Debian package could not be had, and what to do.
type PackageError struct {
	Package string
	Doing   string // what was tried
	Err     error  // what was said
}

func (e *PackageError) Error() string {
	text := fmt.Sprintf("Debian package %s: %s", e.Package, e.Doing)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text + "; it is needed once: run this where apt-get reaches Debian 12's archive (as root: apt-get update), or point SHUNT_VM_CACHE to a cache that has it"
}

func (e *PackageError) Unwrap() error { return e.Err }

// set is a set of packages that are unpacked together, under one version.
type set struct {
	version string
	pkgs    []string
}

// unpacked finds a set in the cache or brings it there. The name is the folder's,
// before its version. Package lists are fetched only when a package is not known
// or not there any more; without any network, what the cache has is taken.
func (c *Config) unpacked(ctx context.Context, name string, resolve func(context.Context) (set, error)) (string, error) {
	if root := c.remembered(name); root != "" {
		return root, nil
	}
	var err error
	for try := range 2 {
		var s set
		if s, err = resolve(ctx); err == nil {
			root := filepath.Join(c.Cache, name+"-"+strings.ReplaceAll(s.version, ":", "_"))
			if !used(root) {
				c.log("fetch %s", strings.Join(s.pkgs, " "))
				err = c.unpack(ctx, root, s.pkgs)
			}
			if err == nil {
				return root, c.remember(name, root)
			}
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if try > 0 || os.Geteuid() != 0 || c.updated {
			break
		}
		c.updated = true
		if uerr := said(program(ctx, "", "apt-get", "update", "-qq")); uerr != nil {
			err = errors.Join(err, fmt.Errorf("apt-get update: %w", uerr))
			break
		}
	}
	if old := newest(c.have(name + "-*")); old != "" {
		c.log("%v", err)
		c.log("taking %s, which the cache has", filepath.Base(old))
		return old, nil
	}
	return "", err
}

// remembered is what a set resolved to, as long as APT's package lists are the same:
// to ask APT takes seconds.
func (c *Config) remembered(name string) string {
	stamp := filepath.Join(c.Cache, name+".is")
	asked, err := os.Stat(stamp)
	if err != nil {
		return ""
	}
	if lists, err := os.Stat("/var/lib/apt/lists"); err == nil && lists.ModTime().After(asked.ModTime()) {
		return ""
	}
	base, err := os.ReadFile(stamp)
	if root := filepath.Join(c.Cache, string(base)); err == nil && len(base) > 0 && used(root) {
		return root
	}
	return ""
}

func (c *Config) remember(name, root string) error {
	return writeWhole(filepath.Join(c.Cache, name+".is"), []byte(filepath.Base(root)))
}

// newest is the folder that was used last, empty without one.
func newest(found []string) string {
	best, at := "", int64(0)
	for _, p := range found {
		if info, err := os.Stat(p); err == nil && info.ModTime().UnixNano() > at {
			best, at = p, info.ModTime().UnixNano()
		}
	}
	return best
}

// said runs a command and gives its words with its error.
func said(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if text := bytes.TrimSpace(out); err != nil && len(text) > 0 {
		return fmt.Errorf("%w: %s", err, text)
	}
	return err
}

// depends asks what packages depend on, and those in turn.
func depends(ctx context.Context, pkgs ...string) (map[string][]string, error) {
	args := append([]string{"depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks", "--no-replaces",
		"--no-enhances"}, pkgs...)
	out, err := program(ctx, "", "apt-cache", args...).Output()
	if err != nil {
		doing := "apt-cache does not know it"
		if errors.Is(err, exec.ErrNotFound) {
			doing = "there is no apt-cache here"
		}
		return nil, &PackageError{Package: strings.Join(pkgs, ", "), Doing: doing}
	}
	return parseDepends(string(out)), nil
}

// parseDepends reads "apt-cache depends": a package's name, and what it depends on,
// indented, "|" before all but the last of alternatives, "<" around names that no
// package has.
func parseDepends(out string) map[string][]string {
	graph, pkg := map[string][]string{}, ""
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\n")
		if line == strings.TrimLeft(line, " |") {
			pkg = line
			graph[pkg] = nil
		} else if _, name, ok := strings.Cut(line, "Depends: "); ok && !strings.HasPrefix(name, "<") {
			graph[pkg] = append(graph[pkg], name)
		}
	}
	return graph
}

// dependency is the one whose name fits.
func dependency(graph map[string][]string, pkg, pattern string) (string, error) {
	want := regexp.MustCompile(pattern)
	if i := slices.IndexFunc(graph[pkg], want.MatchString); i >= 0 {
		return graph[pkg][i], nil
	}
	return "", &PackageError{Package: pkg, Doing: "depends on nothing like " + pattern}
}

func candidate(ctx context.Context, pkg string) (string, error) {
	out, err := program(ctx, "", "apt-cache", "show", "--no-all-versions", pkg).Output()
	if err == nil {
		for line := range strings.Lines(string(out)) {
			if v, ok := strings.CutPrefix(line, "Version: "); ok {
				return strings.TrimSpace(v), nil
			}
		}
	}
	return "", &PackageError{Package: pkg, Doing: "apt-cache tells no version of it"}
}

// unpack downloads packages and puts their files under root, all or nothing.
func (c *Config) unpack(ctx context.Context, root string, pkgs []string) error {
	tmp, err := os.MkdirTemp(c.Cache, "tmp-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	debs, tree := filepath.Join(tmp, "debs"), filepath.Join(tmp, "tree")
	if err := errors.Join(os.Mkdir(debs, 0o755), os.Mkdir(tree, 0o755)); err != nil {
		return err
	}
	for _, p := range pkgs {
		// APT's own sandbox cannot enter a private cache; nothing is installed here.
		if err := said(program(ctx, debs, "apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", p)); err != nil {
			return &PackageError{Package: p, Doing: "apt-get download", Err: err}
		}
		files, err := filepath.Glob(filepath.Join(debs, "*.deb"))
		if err != nil || len(files) != 1 {
			return &PackageError{Package: p, Doing: fmt.Sprintf("apt-get download brought %d files", len(files)), Err: err}
		}
		if err := said(program(ctx, tmp, "dpkg", "-x", files[0], tree)); err != nil {
			return &PackageError{Package: p, Doing: "dpkg -x", Err: err}
		}
		if err := os.Remove(files[0]); err != nil {
			return err
		}
	}
	used(tree) // a package's folders bring their own times
	return os.Rename(tree, root)
}
