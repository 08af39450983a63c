package wire

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// recorded gives the messages of a kind that real kernels sent, or all but
// RTM_NEWLINK for "": lines of "what hex" in testdata/recorded-*.txt.
func recorded(t testing.TB, what string, each func(b []byte)) {
	t.Helper()
	files, err := filepath.Glob("testdata/recorded-*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			name, msg, ok := strings.Cut(strings.TrimSpace(line), " ")
			if !ok || strings.HasPrefix(name, "#") || what != name && (what != "" || name == "RTM_NEWLINK") {
				continue
			}
			b, err := hex.DecodeString(msg)
			if err != nil {
				t.Fatalf("%s: %v", f, err)
			}
			each(b)
		}
	}
}
