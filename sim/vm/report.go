package vm

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Report reads what suites say and tells people of it: each test by name with its
// result, the whole output of those that failed. Owned by one goroutine.
type Report struct {
	W       io.Writer
	Verbose bool     // everything as it comes
	Pattern bool     // only some tests are wanted, so that a package may have none
	Want    []string // packages that are to run

	Passed, Failed, Skipped int
	Faults                  []string // what is wrong beside failed tests

	begun   []string            // packages
	pkg     string              // that runs, empty between two
	tests   int                 // of it that passed or failed
	open    []string            // tests that have begun and not ended, in order
	said    map[string][]string // what they said
	current string              // the test that speaks, empty for the package itself
	loose   []string            // what the package said outside of tests
}

// The test binaries mark their own lines with this byte (-test.v=test2json), so
// that what a test prints is not taken for a verdict.
const testMark = "\x16"

var (
	verdict = regexp.MustCompile(`^( *)--- (PASS|FAIL|SKIP|BENCH): (\S+)( \([0-9.]+s\))?`)
	turn    = regexp.MustCompile(`^=== (RUN|PAUSE|CONT|NAME) +(\S*)`)
)

// Line takes one line in.
func (r *Report) Line(line string) {
	text, word, rest := cutMark(line)
	if text != "" || word == "" {
		r.output(text)
	}
	if word != "" {
		r.word(word, rest)
	}
}

// output takes a line apart into what a test printed and what testing says of it,
// which may share a line when the test did not end its own.
func (r *Report) output(line string) {
	before, own, marked := strings.Cut(line, testMark)
	if r.Verbose {
		fmt.Fprintln(r.W, before+own)
	}
	if before != "" || !marked {
		r.keep(before)
	}
	if !marked {
		return
	}
	if m := turn.FindStringSubmatch(own); m != nil {
		r.current = m[2]
		if m[1] == "RUN" {
			r.open = append(r.open, m[2])
		}
		return
	}
	if m := verdict.FindStringSubmatch(own); m != nil {
		r.verdict(m[0], m[2], m[3])
	}
}

func (r *Report) keep(line string) {
	switch {
	case strings.HasPrefix(line, "figure ") && !r.Verbose:
		fmt.Fprintln(r.W, line) // what a suite measured
	case r.current == "":
		r.loose = append(r.loose, line)
	default:
		if r.said == nil {
			r.said = map[string][]string{}
		}
		r.said[r.current] = append(r.said[r.current], line)
	}
}

func (r *Report) verdict(line, result, test string) {
	switch result {
	case "PASS":
		r.Passed++
		r.tests++
	case "FAIL":
		r.Failed++
		r.tests++
	case "SKIP":
		r.Skipped++
	}
	if !r.Verbose {
		fmt.Fprintln(r.W, line)
		if result != "PASS" {
			r.show(test) // a skip says why
		}
	}
	delete(r.said, test)
	r.open = slices.DeleteFunc(r.open, func(t string) bool { return t == test })
	if r.current == test {
		r.current = ""
	}
}

func (r *Report) show(test string) {
	for _, l := range r.said[test] {
		fmt.Fprintln(r.W, "    "+l)
	}
}

// Running says what runs, for whoever waits.
func (r *Report) Running() string {
	if r.pkg == "" || len(r.open) == 0 {
		return r.pkg
	}
	return r.pkg + " " + r.open[len(r.open)-1]
}

func (r *Report) word(word, rest string) {
	switch word {
	case WordBegin:
		r.closePackage()
		r.begun = append(r.begun, rest)
		r.pkg, r.tests, r.open, r.said, r.current, r.loose = rest, 0, nil, nil, "", nil
		fmt.Fprintf(r.W, "=== %s\n", rest)
	case WordEnd:
		r.end(strings.Fields(rest))
	case WordLeft:
		pkg, what, _ := strings.Cut(rest, " ")
		r.fault(pkg + " left behind: " + what)
	case WordFail:
		r.fault("the guest's init: " + rest)
	}
}

// end closes a package: its exit code is the last word on it.
func (r *Report) end(values []string) {
	if len(values) != 3 {
		r.fault("init spoke unclearly: " + strings.Join(values, " "))
		return
	}
	code, err := strconv.Atoi(values[1])
	switch {
	case err != nil || code != 0:
		r.unfinished()
		r.fault(fmt.Sprintf("%s failed, exit code %s, %s s", values[0], values[1], values[2]))
	case len(r.open) > 0:
		r.unfinished()
		r.fault(values[0] + " ended in the middle of a test, with exit code 0")
	case r.tests == 0 && r.Pattern:
		fmt.Fprintf(r.W, "none %s %s s\n", values[0], values[2])
	case r.tests == 0:
		r.fault(values[0] + " ran no test")
	default:
		fmt.Fprintf(r.W, "ok   %s %s s\n", values[0], values[2])
	}
	r.pkg = ""
}

// unfinished shows what no verdict came for.
func (r *Report) unfinished() {
	for _, t := range r.open {
		fmt.Fprintf(r.W, "--- NOT ENDED: %s\n", t)
		if !r.Verbose {
			r.show(t)
		}
	}
	if !r.Verbose {
		for _, l := range r.loose {
			if l != "" && l != "FAIL" {
				fmt.Fprintln(r.W, l)
			}
		}
	}
}

// Close says what is missing: a package that did not end, and those that did not
// begin.
func (r *Report) Close() {
	r.closePackage()
	for _, p := range r.Want {
		if !slices.Contains(r.begun, p) {
			r.fault(p + " did not run")
		}
	}
}

func (r *Report) closePackage() {
	if r.pkg != "" {
		r.unfinished()
		r.fault(r.pkg + " did not come to its end")
		r.pkg = ""
	}
}

// OK is the verdict on all.
func (r *Report) OK() bool { return r.Failed == 0 && len(r.Faults) == 0 && r.Passed > 0 }

func (r *Report) fault(text string) {
	r.Faults = append(r.Faults, text)
	fmt.Fprintln(r.W, "FAULT "+text)
}
