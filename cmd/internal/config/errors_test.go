package config

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite testdata with what is said now")

// TestErrors reads testdata/errors.txt: files, and what is said about them.
func TestErrors(t *testing.T) {
	const path = "testdata/errors.txt"
	story, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for i, block := range blocks(string(story)) {
		if block.input == "" {
			got.WriteString(block.comment)
			continue
		}
		said := "accepted\n"
		c, f, err := Parse("t.yaml", []byte(block.input))
		if err == nil {
			err = c.Check(f)
		}
		if err != nil {
			said = err.Error() + "\n"
		}
		if i > 1 {
			got.WriteByte('\n')
		}
		got.WriteString(block.comment + block.input + "----\n" + said)
	}
	if *update {
		if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(story), got.String()); diff != "" {
		t.Errorf("what is said differs (-want +got):\n%s", diff)
	}
}

type block struct{ comment, input string }

// blocks cuts a story at empty lines: comments, then a file up to "----".
func blocks(story string) []block {
	var out []block
	for part := range strings.SplitSeq(strings.TrimRight(story, "\n"), "\n\n") {
		var b block
		input, _, has := strings.Cut(part+"\n", "----\n")
		if !has {
			out = append(out, block{comment: part + "\n"})
			continue
		}
		for line := range strings.Lines(input) {
			if strings.HasPrefix(line, "#") && b.input == "" {
				b.comment += line
			} else {
				b.input += line
			}
		}
		out = append(out, b)
	}
	for i := range out {
		if i == 0 && out[i].input == "" {
			out[i].comment += "\n"
		}
	}
	return out
}
