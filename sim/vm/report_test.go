package vm

import (
	"strings"
	"testing"
)

// tell feeds a report what a guest says; "^" stands for the byte with which test
// binaries mark their own lines, "!" at a line's begin for init's mark.
func tell(r *Report, text string) string {
	var out strings.Builder
	r.W = &out
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if own, ok := strings.CutPrefix(line, "!"); ok {
			line = Mark + own
		}
		r.Line(strings.ReplaceAll(line, "^", testMark))
	}
	r.Close()
	return out.String()
}

func TestReportPass(t *testing.T) {
	r := &Report{}
	out := tell(r, `!ready 
!begin ./tc
^=== RUN   TestA
    a_test.go:3: quiet
^=== RUN   TestA/one
--- FAIL: TestPrinted (0.00s)
^=== NAME  TestA
^--- PASS: TestA (0.12s)
^    --- PASS: TestA/one (0.01s)
^=== RUN   TestB
    b_test.go:9: no such card
^--- SKIP: TestB (0.00s)
figure tc_rate 12 1/s
PASS
!end ./tc 0 1.5
!done 0
`)
	want := `=== ./tc
--- PASS: TestA (0.12s)
    --- PASS: TestA/one (0.01s)
--- SKIP: TestB (0.00s)
        b_test.go:9: no such card
figure tc_rate 12 1/s
ok   ./tc 1.5 s
`
	if out != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
	if !r.OK() || r.Passed != 2 || r.Failed != 0 || r.Skipped != 1 {
		t.Errorf("OK %v, %d passed, %d failed, %d skipped", r.OK(), r.Passed, r.Failed, r.Skipped)
	}
}

func TestReportVerbose(t *testing.T) {
	r := &Report{Verbose: true}
	out := tell(r, "!begin ./tc\n^=== RUN   TestA\nno newline^--- PASS: TestA (0.12s)\n!end ./tc 0 1.5\n")
	if want := "=== ./tc\n=== RUN   TestA\nno newline--- PASS: TestA (0.12s)\nok   ./tc 1.5 s\n"; out != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
	if r.Passed != 1 {
		t.Errorf("%d passed", r.Passed)
	}
}

// TestReportBad has one breach each, and what has to be said of it.
func TestReportBad(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		says       []string
	}{
		{"a test fails", "!begin ./p\n^=== RUN   TestA\n    a_test.go:1: why\n^--- FAIL: TestA (0.10s)\nFAIL\n!end ./p 1 0.1\n",
			[]string{"--- FAIL: TestA (0.10s)\n        a_test.go:1: why\n", "FAULT ./p failed, exit code 1"}},
		{"a test fails, and the exit code does not say so", "!begin ./p\n^=== RUN   TestA\n^--- FAIL: TestA (0.10s)\n!end ./p 0 0.1\n", []string{"--- FAIL: TestA"}},
		{"exit code alone", "!begin ./p\n^=== RUN   TestA\n^--- PASS: TestA (0.10s)\nleaked descriptor 7\n!end ./p 1 0.1\n",
			[]string{"leaked descriptor 7\n", "FAULT ./p failed, exit code 1"}},
		{"panic", "!begin ./p\n^=== RUN   TestA\n^=== RUN   TestA/one\npanic: nil map\n\ngoroutine 7 [running]:\n!end ./p 2 0.1\n",
			[]string{"--- NOT ENDED: TestA/one\n    panic: nil map\n    \n    goroutine 7 [running]:\n", "FAULT ./p failed, exit code 2"}},
		{"exit within a test", "!begin ./p\n^=== RUN   TestA\nbye\n!end ./p 0 0.1\n", []string{"--- NOT ENDED: TestA\n    bye\n", "ended in the middle of a test"}},
		{"no test", "!begin ./p\ntesting: warning: no tests to run\nPASS\n!end ./p 0 0.1\n", []string{"FAULT ./p ran no test"}},
		{"only skipped", "!begin ./p\n^=== RUN   TestA\n^--- SKIP: TestA (0.00s)\n!end ./p 0 0.1\n", []string{"FAULT ./p ran no test"}},
		{"no end", "!begin ./p\n^=== RUN   TestA\nworking\n", []string{"--- NOT ENDED: TestA\n    working\n", "FAULT ./p did not come to its end"}},
		{"no end, but a next", "!begin ./p\n^=== RUN   TestA\n!begin ./q\n", []string{"FAULT ./p did not come to its end"}},
		{"left behind", "!begin ./p\n^=== RUN   TestA\n^--- PASS: TestA (0.10s)\n!left ./p card simnic0; namespace a\n!end ./p 1 0.1\n",
			[]string{"FAULT ./p left behind: card simnic0; namespace a\n"}},
		{"init gives up", "!fail load simnic.ko: no such file\n!done 1\n", []string{"FAULT the guest's init: load simnic.ko: no such file"}},
		{"an end that says nothing", "!begin ./p\n!end ./p\n", []string{"FAULT init spoke unclearly"}},
		{"nothing at all", "", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &Report{}
			out := tell(r, tc.text)
			for _, s := range tc.says {
				if !strings.Contains(out, s) {
					t.Errorf("does not say %q:\n%s", s, out)
				}
			}
			if r.OK() {
				t.Errorf("is content with\n%s", out)
			}
		})
	}
}

// TestReportWant: a machine that ends early has not run what it should.
func TestReportWant(t *testing.T) {
	r := &Report{Want: []string{"./p", "./q"}}
	out := tell(r, "!begin ./p\n^=== RUN   TestA\n^--- PASS: TestA (0.10s)\n!end ./p 0 0.1\n")
	if r.OK() || !strings.HasSuffix(out, "FAULT ./q did not run\n") || strings.Contains(out, "./p did not") {
		t.Errorf("OK %v:\n%s", r.OK(), out)
	}
}

// TestReportPattern: with -test.run, a package may have nothing to do, but not all
// of them.
func TestReportPattern(t *testing.T) {
	none := "!begin ./p\nPASS\n!end ./p 0 0.1\n"
	some := "!begin ./q\n^=== RUN   TestA\n^--- PASS: TestA (0.10s)\n!end ./q 0 0.1\n"
	r := &Report{Pattern: true}
	if out := tell(r, none+some); !r.OK() || !strings.Contains(out, "none ./p") {
		t.Errorf("OK %v:\n%s", r.OK(), out)
	}
	r = &Report{Pattern: true}
	if tell(r, none); r.OK() {
		t.Error("content although no test ran")
	}
}

func TestRunning(t *testing.T) {
	r := &Report{W: &strings.Builder{}}
	for _, step := range []struct{ line, want string }{
		{Mark + "begin ./p", "./p"},
		{testMark + "=== RUN   TestA", "./p TestA"},
		{testMark + "=== RUN   TestA/one", "./p TestA/one"},
		{testMark + "    --- PASS: TestA/one (0.00s)", "./p TestA"},
		{testMark + "--- PASS: TestA (0.00s)", "./p"},
		{"text without an end" + Mark + "end ./p 0 0.1", ""},
	} {
		r.Line(step.line)
		if got := r.Running(); got != step.want {
			t.Errorf("after %q: running %q, want %q", step.line, got, step.want)
		}
	}
}
