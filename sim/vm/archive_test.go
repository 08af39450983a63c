package vm

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// entries reads an archive back, by the form that the kernel documents.
func entries(t *testing.T, data []byte) (out []string) {
	t.Helper()
	for len(data) > 0 {
		if len(data) < 110 || string(data[:6]) != "070701" {
			t.Fatalf("no header where one should be: %q", data[:min(len(data), 16)])
		}
		field := func(i int) int {
			n, err := strconv.ParseUint(string(data[6+8*i:14+8*i]), 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			return int(n)
		}
		mode, size, nameSize := field(1), field(6), field(11)
		name := string(data[110 : 110+nameSize-1])
		at := (110 + nameSize + 3) &^ 3
		if name == "TRAILER!!!" {
			if rest := bytes.Trim(data[at:], "\x00"); len(rest) > 0 {
				t.Errorf("%d bytes after the trailer", len(rest))
			}
			return out
		}
		out = append(out, fmt.Sprintf("%o %s %q", mode, name, data[at:at+size]))
		data = data[(at+size+3)&^3:]
	}
	t.Fatal("no trailer")
	return nil
}

func TestArchive(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a.go": "package a", "a.txt": "beside", "testdata/deep/golden": "g"} {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	var buf bytes.Buffer
	a := newArchive(&buf)
	a.char("dev/null", 1, 3)
	a.file("/bin/x", []byte("12345"), 0o755)
	a.file("bin/x", []byte("the first stays"), 0o755)
	a.link("sbin", "/bin")
	a.folder("src/a", dir)
	if err := a.end(); err != nil {
		t.Fatal(err)
	}
	want := []string{`40755 dev ""`, `20600 dev/null ""`, `40755 bin ""`, `100755 bin/x "12345"`, `120777 sbin "/bin"`,
		`40755 src ""`, `40755 src/a ""`, `100640 src/a/a.txt "beside"`,
		`40755 src/a/testdata ""`, `40755 src/a/testdata/deep ""`, `100640 src/a/testdata/deep/golden "g"`}
	if got := entries(t, buf.Bytes()); !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	a = newArchive(&buf)
	a.copy("x", filepath.Join(dir, "not there"))
	if err := a.end(); err == nil {
		t.Error("content without a file")
	}
}
