package main

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/shunt-offload/shunt/sim/vm"
)

// suite runs one package's tests, and fails it for what it leaves behind. An error
// means that the machine is of no more use.
func (g *guest) suite(s vm.Suite) (int, error) {
	g.say(vm.WordBegin, s.Package)
	console(vm.ConsoleMark + s.Package)
	args := []string{"-test.v=test2json", fmt.Sprintf("-test.timeout=%ds", s.Limit)}
	if pattern := cmp.Or(g.plan.Run, s.Only); pattern != "" {
		args = append(args, "-test.run="+pattern)
	}
	began := time.Now()
	limit := limits{all: time.Duration(s.Limit+30) * time.Second, silent: time.Duration(s.Silent) * time.Second}
	code, err := g.run(limit, s.Dir, s.Binary, args...)
	if err == nil {
		if left := g.seen.left(); len(left) > 0 {
			g.say(vm.WordLeft, s.Package+" "+strings.Join(left, "; "))
			code = max(code, 1)
		}
	}
	g.say(vm.WordEnd, fmt.Sprintf("%s %d %.1f", s.Package, code, time.Since(began).Seconds()))
	return code, err
}

// console writes a line where the kernel's words go, so that these can be told
// apart by suite.
func console(text string) {
	f, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	fmt.Fprintf(f, "<4>%s\n", text) // 4: a warning, which the console shows
}
