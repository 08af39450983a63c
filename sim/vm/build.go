package vm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Programs are the module's own that the guest has in its PATH.
func Programs() []string { return []string{"shuntd", "shuntctl", "shunt-demo", "shunt-bench"} }

// built is what was compiled for the guest.
type built struct {
	init     string
	programs []string
	suites   []builtSuite
}

type builtSuite struct {
	Suite
	from string // the binary, here
}

// Limits of a package on an emulated machine that shares its cores: far above
// what any takes, and below what somebody waits for.
const (
	suiteLimit  = 900 // seconds
	suiteSilent = 240
)

// build compiles init, the programs and the test binaries. Everything is static: no
// library of this host is needed. They are kept, so that what has not changed is
// not linked again.
func (c *Config) build(ctx context.Context, pkgs []string) (*built, error) {
	sum := sha256.Sum256([]byte(c.Top))
	dir := filepath.Join(c.Cache, "programs-"+hex.EncodeToString(sum[:8]))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	used(dir)
	b := &built{init: filepath.Join(dir, "bin", "init")}
	args := []string{"build", "-buildvcs=false", "-ldflags=-s -w", "-o", filepath.Join(dir, "bin") + "/", "./sim/vm/init"}
	for _, p := range c.Programs {
		args = append(args, "./cmd/"+p)
		b.programs = append(b.programs, filepath.Join(dir, "bin", p))
	}
	c.log("compile init %s", strings.Join(c.Programs, " "))
	if err := c.goTool(ctx, args...); err != nil {
		return nil, err
	}
	// Packages of one base name want folders of their own.
	var rounds []map[string]string
	for _, p := range pkgs {
		i := slices.IndexFunc(rounds, func(r map[string]string) bool { return r[filepath.Base(p)] == "" })
		if i < 0 {
			rounds = append(rounds, map[string]string{})
			i = len(rounds) - 1
		}
		rounds[i][filepath.Base(p)] = p
		pattern, err := only(filepath.Join(c.Top, p))
		if err != nil {
			return nil, err
		}
		name := strings.ReplaceAll(strings.TrimPrefix(p, "./"), "/", "-") + ".test"
		b.suites = append(b.suites, builtSuite{
			Suite: Suite{Package: p, Binary: "/test/" + name, Dir: "/src/" + strings.TrimPrefix(p, "./"), Only: pattern, Limit: suiteLimit, Silent: suiteSilent},
			from:  filepath.Join(dir, fmt.Sprint("test-", i), filepath.Base(p)+".test"),
		})
	}
	for i, r := range rounds {
		args := []string{"test", "-c", "-buildvcs=false", "-ldflags=-s -w", "-tags", "vm", "-o", filepath.Join(dir, fmt.Sprint("test-", i)) + "/"}
		round := slices.Sorted(maps.Values(r))
		c.log("compile tests of %s", strings.Join(round, " "))
		if err := c.goTool(ctx, append(args, round...)...); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (c *Config) goTool(ctx context.Context, args ...string) error {
	cmd := program(ctx, c.Top, c.Go, args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := said(cmd); err != nil {
		return fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// Packages finds those that have tests for the guest, as go names them.
func (c *Config) Packages() ([]string, error) {
	var pkgs []string
	err := filepath.WalkDir(c.Top, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && p != c.Top && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(d.Name(), "_test.go") {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		if wantsGuest(string(text)) {
			rel, err := filepath.Rel(c.Top, filepath.Dir(p))
			if err != nil {
				return err
			}
			pkgs = append(pkgs, "./"+rel)
		}
		return nil
	})
	slices.Sort(pkgs)
	pkgs = slices.Compact(pkgs)
	if err == nil && len(pkgs) == 0 {
		err = fmt.Errorf("no package under %s has tests with the build tag vm", c.Top)
	}
	return pkgs, err
}
