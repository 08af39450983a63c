package xdp

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestGenerated compiles the programs again and compares. The bytes depend on the
// compiler: with another major version than bpf/compiler says there is nothing to
// compare.
func TestGenerated(t *testing.T) {
	clang, err := exec.LookPath("clang")
	if err != nil {
		t.Skipf("no clang to compile with: %v", err)
	}
	version, err := exec.Command(clang, "--version").Output()
	if err != nil {
		t.Fatalf("clang --version: %v", err)
	}
	made, err := os.ReadFile("bpf/compiler")
	if err != nil {
		t.Fatal(err)
	}
	if here := major(string(version)); here != strings.TrimSpace(string(made)) {
		t.Skipf("clang here is version %s, the committed object was made with %s", here, made)
	}
	dir := t.TempDir()
	args := generateArgs(t)
	run := exec.Command("go", withOutput(args, dir)...)
	run.Env = append(os.Environ(), "GOPACKAGE=xdp", "GOFILE=gen.go")
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(run.Args[1:], " "), err, out)
	}
	for _, name := range []string{"bpf_pipeline_bpfel.o", "bpf_pipeline_bpfel.go"} {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what bpf/*.c and *.h give; run: go generate ./drivers/xdp", name)
		}
	}
}

// major is the number behind "version ".
func major(text string) string {
	_, v, _ := strings.Cut(text, "version ")
	v, _, _ = strings.Cut(v, ".")
	return v
}

// generateArgs reads the command of gen.go.
func generateArgs(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("gen.go")
	if err != nil {
		t.Fatal(err)
	}
	_, line, ok := strings.Cut(string(text), "//go:generate go ")
	if !ok {
		t.Fatal("gen.go has no go:generate line")
	}
	line, _, _ = strings.Cut(line, "\n")
	return strings.Fields(line)
}

// withOutput puts bpf2go's -output-dir where its options are.
func withOutput(args []string, dir string) []string {
	for i, a := range args {
		if strings.HasSuffix(a, "/bpf2go") {
			return append(append(append([]string{}, args[:i+1]...), "-output-dir", dir), args[i+1:]...)
		}
	}
	return args
}
