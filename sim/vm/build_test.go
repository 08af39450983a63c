package vm

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestPackages(t *testing.T) {
	c := config(t)
	if _, err := c.Packages(); err == nil {
		t.Error("content with no package at all")
	}
	for name, text := range map[string]string{
		"tc/card_vm_test.go":           "//go:build vm\n\npackage tc\n",
		"drivers/mlx5/mlx5_vm_test.go": "// words\n\n//go:build vm && linux\n\npackage mlx5\n",
		"switchdev/both_test.go":       "//go:build netns || vm\n\npackage switchdev\n",
		"hwif/plain_test.go":           "package hwif\n\nconst text = `\n//go:build vm\n`\n",
		"hwif/not_test.go":             "//go:build !vm\n\npackage hwif\n",
		"hwif/source.go":               "//go:build vm\n\npackage hwif\n",
		".hidden/x_test.go":            "//go:build vm\n\npackage x\n",
	} {
		p := filepath.Join(c.Top, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := c.Packages()
	if want := []string{"./drivers/mlx5", "./tc"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}
