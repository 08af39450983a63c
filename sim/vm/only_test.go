package vm

import (
	"os"
	"path/filepath"
	"testing"
)

func TestOnly(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"plain_test.go": "package p\n\nfunc TestPlain(t *testing.T) {}\n",
		"a_vm_test.go":  "//go:build vm\n\npackage p\n\nfunc TestB(t *testing.T) {}\nfunc TestMain(m *testing.M) {}\nfunc helper(t *testing.T) {}\n",
		"both_test.go":  "//go:build netns || vm\n\npackage p\n\nfunc TestA(tt *testing.T) {}\n",
		"race_test.go":  "//go:build linux && !vm\n\npackage p\n\nfunc TestNever(t *testing.T) {}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := only(dir); err != nil || got != "^(TestA|TestB)$" {
		t.Errorf("%q %v", got, err)
	}
	if got, err := only(t.TempDir()); err != nil || got != "" {
		t.Errorf("none: %q %v", got, err)
	}
}
