package rig

import (
	"fmt"
	"os"
	"path/filepath"
)

// Programs are the paths of shunt's own programs.
type Programs struct{ Shuntd, Shuntctl, Demo string }

// Find looks for the programs in dir.
func Find(dir string) (Programs, error) {
	p := Programs{filepath.Join(dir, "shuntd"), filepath.Join(dir, "shuntctl"), filepath.Join(dir, "shunt-demo")}
	for _, path := range []string{p.Shuntd, p.Shuntctl, p.Demo} {
		if _, err := os.Stat(path); err != nil {
			return Programs{}, fmt.Errorf("%w: run make build first", err)
		}
	}
	return p, nil
}
