package vm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Options of Run.
type Options struct {
	Top    string        // the module's folder
	Cache  string        // where kernels and archives are kept
	Plan   Plan          // Modules and Suites are filled in
	Lines  func(string)  // gets what runs in the guest says, line by line; not for a shell
	Stdin  io.Reader     // of a shell
	Stdout io.Writer     // of a shell
	Silent time.Duration // how long the guest may say nothing; 0 means for ever
}

// Result is one run of a machine.
type Result struct {
	Kernel     Kernel
	Boot       time.Duration // from qemu's start to a machine that is ready
	Complaints []string      // what the kernel should not have said
	Console    string        // all that it said
	Code       int           // exit code of the command or the suites, -1 when none came
	Fault      string        // why the machine did not come to its end; empty when it did
}

// Run boots the kernel, lets it do the plan, and waits for its end.
func Run(ctx context.Context, k *Kernel, b *Built, opts Options) (*Result, error) {
	order, err := k.loadOrder(ctx)
	if err != nil {
		return nil, err
	}
	basePath, err := base(ctx, opts.Cache, k, order)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(opts.Cache, "run-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	module, err := simnic(ctx, opts.Top, filepath.Join(dir, "kmod"), k)
	if err != nil {
		return nil, err
	}
	plan := opts.Plan
	plan.Suites = b.suites
	for _, m := range order {
		plan.Modules = append(plan.Modules, modulePath(m))
	}
	plan.Modules = append(plan.Modules, "/lib/modules/simnic.ko")
	rd, err := initrd(opts.Top, dir, basePath, module, b, &plan)
	if err != nil {
		return nil, err
	}
	return boot(ctx, k, rd, filepath.Join(dir, "console"), opts)
}

// memory of the guest in MiB: the archive, the programs' own, and room for a
// table of some ten thousand rules with what tc keeps about each.
const memory = 3072

func boot(ctx context.Context, k *Kernel, rd, console string, opts Options) (*Result, error) {
	cmd := exec.Command("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", fmt.Sprint(memory),
		"-display", "none", "-no-reboot", "-nodefaults", "-kernel", k.Image(), "-initrd", rd,
		"-append", "console=ttyS0 loglevel=5 panic=-1 random.trust_cpu=on rcupdate.rcu_cpu_stall_timeout=120 mitigations=off",
		"-serial", "file:"+console, "-serial", "stdio")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdin = opts.Stdin
	began := time.Now()
	if err := cmd.Start(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return nil, errors.New("qemu-system-x86_64 is not there; scripts/packages.sh vm installs it")
		}
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	res := &Result{Kernel: *k, Code: -1}
	if opts.Plan.Shell {
		_, _ = io.Copy(opts.Stdout, out)
		res.Code = 0
	} else {
		listen(out, began, cmd, opts, res)
	}
	_ = cmd.Wait() // qemu's own exit code says nothing of the guest
	if text, err := os.ReadFile(console); err == nil {
		res.Console = string(text)
	}
	res.Complaints = Complaints(res.Console)
	if ctx.Err() != nil {
		return res, ctx.Err()
	}
	if res.Code < 0 && res.Fault == "" {
		res.Fault = "the machine ended before its work was done"
	}
	return res, nil
}

// listen takes what the guest says until it ends or falls silent.
func listen(out io.Reader, began time.Time, cmd *exec.Cmd, opts Options, res *Result) {
	lines := make(chan string)
	go func() {
		defer close(lines)
		sc := bufio.NewScanner(out)
		sc.Buffer(nil, 1<<20)
		for sc.Scan() {
			lines <- sc.Text()
		}
	}()
	silent := opts.Silent
	if silent == 0 {
		silent = 24 * time.Hour
	}
	timer := time.NewTimer(silent)
	defer timer.Stop()
	last := "nothing"
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				return
			}
			timer.Reset(silent)
			line = strings.TrimSuffix(line, "\r")
			word, rest, isWord := cutMark(line)
			switch {
			case !isWord:
				last = line
			case word == WordReady:
				res.Boot = time.Since(began)
			case word == WordDone:
				_, _ = fmt.Sscan(rest, &res.Code)
			case word == WordFail:
				res.Fault = rest
			}
			if opts.Lines != nil {
				opts.Lines(line)
			}
		case <-timer.C:
			res.Fault = fmt.Sprintf("nothing was said for %s; the last was: %s", silent, last)
			_ = cmd.Process.Kill()
			for range lines { // let the reader end
			}
			return
		}
	}
}

// cutMark takes a line of init's own apart.
func cutMark(line string) (word, rest string, ok bool) {
	line, ok = strings.CutPrefix(line, Mark)
	if !ok {
		return "", "", false
	}
	word, rest, _ = strings.Cut(line, " ")
	return word, rest, true
}
