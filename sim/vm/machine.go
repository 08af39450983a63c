package vm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Options of Boot.
type Options struct {
	Lines  func(string)  // gets what runs in the guest says, line by line; not for a shell
	Stdin  io.Reader     // of a shell
	Stdout io.Writer     // of a shell
	Silent time.Duration // how long the guest may say nothing; 0 means for ever
}

// Result is one run of a machine.
type Result struct {
	Boot       time.Duration // from qemu's start to a machine that is ready; 0 when it never was
	Complaints []string      // what the kernel should not have said
	Console    string        // all that it said
	Code       int           // exit code of the command or the suites, -1 when none came
	Fault      string        // why the machine did not come to its end; empty when it did
}

// memory of the guest in MiB: the archive, the programs' own, and room for a
// table of some ten thousand rules with what tc keeps about each.
const memory = 2048

// kernelWords are the kernel's command line. An oops ends the machine at once
// (-no-reboot), instead of leaving locks held. What only costs time is left out:
// self-tests of ciphers and certificates for modules, half of an emulated boot.
var kernelWords = []string{
	"console=ttyS0", "loglevel=5", "panic=-1", "oops=panic", "random.trust_cpu=on", "mitigations=off", "audit=0", "lsm=", "nokaslr",
	"rcupdate.rcu_cpu_stall_timeout=120", "cryptomgr.notests",
	"initcall_blacklist=crypto_kdf108_init,init_encrypted,jent_mod_init,load_system_certificate_list",
}

func (m *Machine) arguments() []string {
	out := []string{"-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", fmt.Sprint(memory), "-display", "none", "-no-reboot",
		"-nodefaults", "-no-user-config", "-kernel", m.Kernel.Image, "-initrd", m.initrd, "-append", strings.Join(kernelWords, " "),
		"-serial", "file:" + m.console()}
	// Ctrl-C is the guest's in a shell; otherwise this program ends qemu.
	return append(out, "-chardev", "stdio,id=port,signal=off", "-serial", "chardev:port")
}

// Boot starts the machine, lets it do its plan, and waits for its end.
func (m *Machine) Boot(ctx context.Context, opts Options) (*Result, error) {
	// Qemu ends with the thread that started it, should this program be killed.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command(qemu, m.arguments()...)
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL, Setpgid: !m.shell}
	cmd.Stderr = os.Stderr
	cmd.Stdin = opts.Stdin
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	kill := func() { _ = cmd.Process.Kill() } // fails when it has ended
	defer context.AfterFunc(ctx, kill)()
	res := &Result{Code: -1}
	if m.shell {
		_, _ = io.Copy(opts.Stdout, out)
		res.Code = 0
	} else {
		listen(out, opts, kill, func() { res.Boot = time.Since(began) }, res)
	}
	_ = cmd.Wait() // qemu's own exit code says nothing of the guest
	text, err := os.ReadFile(m.console())
	if err != nil && !errors.Is(err, os.ErrNotExist) { // qemu may not have come so far
		return nil, err
	}
	res.Console = string(text)
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
func listen(out io.Reader, opts Options, kill, ready func(), res *Result) {
	lines := make(chan string)
	go func() {
		defer close(lines)
		r := bufio.NewReader(out)
		for {
			line, err := r.ReadString('\n')
			if line != "" {
				lines <- strings.TrimRight(line, "\r\n")
			}
			if err != nil {
				return
			}
		}
	}()
	silent := opts.Silent
	if silent == 0 {
		silent = 365 * 24 * time.Hour
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
			text, word, rest := cutMark(line)
			switch word {
			case "":
				last = text
			case WordReady:
				ready()
			case WordDone:
				_, _ = fmt.Sscan(rest, &res.Code) // -1 stays when it is no number
			case WordFail:
				res.Fault = rest
			}
			if opts.Lines != nil {
				opts.Lines(line)
			}
		case <-timer.C:
			res.Fault = fmt.Sprintf("nothing was said for %s; the last was: %s", silent, last)
			kill()
			for range lines { // to the reader's end
			}
			return
		}
	}
}

// cutMark takes a line apart: text of what runs, and a word of init's own with its
// values. What does not end its last line has both in one.
func cutMark(line string) (text, word, rest string) {
	text, after, ok := strings.Cut(line, Mark)
	if !ok {
		return line, "", ""
	}
	word, rest, _ = strings.Cut(after, " ")
	return text, word, rest
}
