package offload_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the stories' output; read the difference before you commit it")

// TestStories plays testdata/*.txt: commands, then "----", then exactly what
// the engine wanted of the world. A blank line ends a step.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) { playStory(t, file) })
	}
}

func playStory(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld()
	var out strings.Builder
	for i, step := range strings.Split(strings.TrimRight(string(text), "\n"), "\n\n") {
		if i > 0 {
			out.WriteString("\n")
		}
		commands, want, _ := strings.Cut(step, "----")
		out.WriteString(commands)
		if strings.TrimSpace(strings.Join(uncommented(commands), "")) == "" {
			if !strings.HasSuffix(commands, "\n") {
				out.WriteString("\n")
			}
			continue
		}
		if !strings.HasSuffix(commands, "\n") {
			out.WriteString("\n")
		}
		w.out.Reset()
		for _, line := range uncommented(commands) {
			if line == "" {
				continue
			}
			if err := w.command(strings.Fields(line)); err != nil {
				t.Fatalf("%s: %q: %v", file, line, err)
			}
		}
		got := w.out.String()
		if got == "" {
			got = "(nothing)\n"
		}
		out.WriteString("----\n" + got)
		if !*update && strings.TrimSpace(got) != strings.TrimSpace(want) {
			t.Errorf("%s, step %d:\n%s\n got:\n%s\nwant:\n%s", file, i, commands, indent(got), indent(strings.TrimLeft(want, "\n")))
		}
	}
	if err := w.check(); err != nil {
		t.Errorf("%s: at the end: %v", file, err)
	}
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func uncommented(s string) []string {
	var out []string
	for line := range strings.Lines(s) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "#") {
			out = append(out, line)
		}
	}
	return out
}

func indent(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		fmt.Fprintf(&b, "\t%s", line)
	}
	return b.String()
}
