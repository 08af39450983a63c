package vm

import (
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// Report reads what suites say, as "go test -v" does, and tells people of it:
// each test by name, the whole output of those that failed.
type Report struct {
	W       io.Writer
	Verbose bool // everything as it comes

	Passed, Failed, Skipped int
	Faults                  []string // what is wrong beside failed tests

	pkg   string
	tests int      // of this package that have run
	buf   []string // output since the package began
}

var verdict = regexp.MustCompile(`^\s*--- (PASS|FAIL|SKIP): (\S+)( \([0-9.]+s\))?`)

// Line takes one line in.
func (r *Report) Line(line string) {
	if word, rest, ok := cutMark(line); ok {
		r.word(word, rest)
		return
	}
	if r.Verbose {
		fmt.Fprintln(r.W, line)
	}
	r.buf = append(r.buf, line)
	m := verdict.FindStringSubmatch(line)
	if m == nil {
		return
	}
	r.tests++
	switch m[1] {
	case "PASS":
		r.Passed++
	case "SKIP":
		r.Skipped++
	case "FAIL":
		r.Failed++
	}
	if !r.Verbose {
		fmt.Fprintln(r.W, m[0])
	}
}

func (r *Report) word(word, rest string) {
	switch word {
	case WordBegin:
		r.pkg, r.tests, r.buf = rest, 0, nil
		fmt.Fprintf(r.W, "=== %s\n", rest)
	case WordEnd:
		r.end(strings.Fields(rest))
	case WordFail:
		r.fault("init: " + rest)
	}
}

// end closes a package: its exit code is the last word on it.
func (r *Report) end(values []string) {
	if len(values) < 3 {
		r.fault("init spoke unclearly: " + strings.Join(values, " "))
		return
	}
	code, err := strconv.Atoi(values[1])
	switch {
	case err != nil || code != 0:
		fmt.Fprintf(r.W, "FAIL %s exit code %s %s s\n", values[0], values[1], values[2])
		if !r.Verbose {
			fmt.Fprintln(r.W, strings.Join(r.buf, "\n"))
		}
		r.fault(fmt.Sprintf("%s failed, exit code %s", values[0], values[1]))
	case r.tests == 0:
		r.fault(values[0] + " ran no test")
	default:
		for _, line := range r.buf { // what a suite measured
			if strings.HasPrefix(line, "figure ") {
				fmt.Fprintln(r.W, line)
			}
		}
		fmt.Fprintf(r.W, "ok   %s %s s\n", values[0], values[2])
	}
	r.pkg, r.buf = "", nil
}

// Close says what was left open: a package that began and did not end.
func (r *Report) Close() {
	if r.pkg != "" {
		fmt.Fprintln(r.W, strings.Join(r.buf, "\n"))
		r.fault(r.pkg + " did not come to its end")
	}
}

func (r *Report) fault(text string) {
	r.Faults = append(r.Faults, text)
	fmt.Fprintln(r.W, "FAULT "+text)
}
