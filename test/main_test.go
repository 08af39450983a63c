//go:build netns || vm

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/shunt-offload/shunt/sim/lab"
	"github.com/shunt-offload/shunt/sim/rig"
)

// programs are built once, from the tree as it is, unless SHUNT_BIN says otherwise.
var programs rig.Programs

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	if removed, err := lab.Sweep(); err != nil {
		return 1, err
	} else if len(removed) > 0 {
		fmt.Println("removed what an earlier run left:", removed)
	}
	// SHUNT_BIN names a folder with programs to test as they are.
	if bin := os.Getenv("SHUNT_BIN"); bin != "" {
		var err error
		if programs, err = rig.Find(bin); err != nil {
			return 1, err
		}
		return m.Run(), nil
	}
	dir, err := os.MkdirTemp("", "shunt-e2e-bin-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	// One test runs shuntd as another user.
	if err := os.Chmod(dir, 0o755); err != nil {
		return 1, err
	}
	args := []string{"build", "-o", dir + string(filepath.Separator)}
	if raceEnabled {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "./cmd/shuntd", "./cmd/shuntctl", "./cmd/shunt-demo")...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = "..", os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return 1, fmt.Errorf("build the programs: %w", err)
	}
	if programs, err = rig.Find(dir); err != nil {
		return 1, err
	}
	return m.Run(), nil
}
