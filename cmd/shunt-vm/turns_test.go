package main

import (
	"fmt"
	"strings"
	"testing"
)

func TestTurns(t *testing.T) {
	var out strings.Builder
	turns := newTurns(&out, 3)
	var voices []voice
	for i := range 3 {
		voices = append(voices, voice{turns, i})
	}
	step := func(want string) {
		t.Helper()
		if out.String() != want {
			t.Errorf("read so far %q, want %q", out.String(), want)
		}
	}
	fmt.Fprint(voices[1], "b1 ")
	fmt.Fprint(voices[0], "a1 ")
	fmt.Fprint(voices[2], "c1 ")
	step("a1 ")
	voices[2].end()
	fmt.Fprint(voices[0], "a2 ")
	step("a1 a2 ")
	voices[0].end()
	step("a1 a2 b1 ")
	fmt.Fprint(voices[1], "b2 ")
	step("a1 a2 b1 b2 ")
	voices[1].end()
	step("a1 a2 b1 b2 c1 ")
}
