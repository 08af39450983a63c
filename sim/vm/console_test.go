package vm

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// samples are a kernel's own words, each with the one pattern that finds it: so that
// no pattern can go without a test that fails.
var samples = []struct{ line, found string }{
	{"[    4.1] BUG: kernel NULL pointer dereference, address: 0000000000000008", `BUG:`},
	{"[    4.1] BUG: sleeping function called from invalid context at include/linux/sched/mm.h:274", `BUG:`},
	{"[    4.1] kernel BUG at net/core/skbuff.c:110!", `kernel BUG at`},
	{"[    4.1] WARNING: CPU: 1 PID: 212 at net/core/dev.c:7215 dev_change_name+0x1d/0x20 [simnic]", `WARNING: `},
	{"[    4.1] Oops: 0002 [#1] PREEMPT SMP NOPTI", `Oops: `},
	{"[    4.1] Kernel panic - not syncing: Fatal exception", `Kernel panic - not syncing`},
	{"[    4.1] general protection fault, probably for non-canonical address 0xdead000000000108: 0000 [#1]", `general protection fault`},
	{"[    4.1] invalid opcode: 0000 [#1] PREEMPT SMP", `invalid opcode: `},
	{"[    4.1] divide error: 0000 [#1] SMP", `divide error: `},
	{"[    4.1] stack segment: 0000 [#1] SMP", `stack segment: `},
	{"[    4.1] traps: PANIC: double fault: 0000 [#1] SMP", `double fault: `},
	{"[  242.1] INFO: task tc:312 blocked for more than 120 seconds.", `INFO: task .* blocked for more than`},
	{"[   64.1] rcu: INFO: rcu_preempt self-detected stall on CPU", `rcu: INFO: `},
	{"[   64.1] rcu_sched detected stalls on CPUs/tasks: { 0 }", `detected stalls? on CPU`},
	{"[   64.1] watchdog: BUG soft lockup - CPU#0 stuck for 26s! [tc:312]", `watchdog: .* lockup`},
	{"[    4.1] possible recursive locking detected", `possible recursive locking detected`},
	{"[    4.1] possible circular locking dependency detected", `possible circular locking dependency`},
	{"[    4.1] inconsistent lock state", `inconsistent lock state`},
	{"[    4.1] possible irq lock inversion dependency detected", `possible irq lock inversion`},
	{"[    4.1] suspicious RCU usage", `suspicious RCU usage`},
	{"[    4.1] refcount_t: underflow; use-after-free.", `refcount_t: `},
	{"[    4.1] list_del corruption. prev->next should be ffff88800", `list_(add|del) corruption`},
	{"[    4.1] ODEBUG: free active (active state 0) object type: timer_list", `ODEBUG: `},
	{"[    4.1] UBSAN: array-index-out-of-bounds in table.c:31:12", `UBSAN: `},
	{"[    4.1] Bad page state in process tc  pfn:1037c", `Bad page `},
	{"[    4.1] slab simnic_rule corrupted", `slab .* corrupted|Object already free|Redzone overwritten|Poison overwritten`},
	{"[    4.1] tc: page allocation failure: order:5, mode:0x40cc0", `page allocation failure`},
	{"[    4.1] Out of memory: Killed process 312 (tc)", `Out of memory: `},
	{"[    4.1] unregister_netdevice: waiting for sim0p0 to become free. Usage count = 2", `unregister_netdevice: waiting for`},
	{"[    4.1] RTNL: assertion failed at net/core/dev.c (1234)", `RTNL: assertion failed`},
	{"[    4.1] Call Trace:", `Call Trace:`},
}

func TestEachComplaint(t *testing.T) {
	tried := map[string]bool{}
	for _, s := range samples {
		tried[s.found] = true
		if got := Complaints("[    1.0] quiet\n" + s.line + "\n"); len(got) != 1 || !strings.Contains(got[0], s.line) {
			t.Errorf("%s\nfound: %q", s.line, got)
		}
		if !slices.Contains(complaints, s.found) || !regexp.MustCompile(s.found).MatchString(s.line) {
			t.Errorf("%s\nis not found by a pattern %s", s.line, s.found)
		}
	}
	for _, c := range complaints {
		if !tried[c] {
			t.Errorf("pattern %s has no sample", c)
		}
	}
}

// What Debian's kernels say on a good day, with loglevel=5 in qemu.
const quiet = `[    0.036000] tsc: Unable to calibrate against PIT
[    0.878819] mtrr: your CPUs had inconsistent fixed MTRR settings
[    1.169296] acpi PNP0A03:00: fail to add MMCONFIG information, can't access extended configuration space under this bridge
[    3.553906] Unstable clock detected, switching default tracing clock to "global"
               If you want to keep using the local clock, then add:
[    5.287742] simnic: loading out-of-tree module taints kernel.
[    5.287999] simnic: module verification failed: signature and/or required key missing - tainting kernel
[    9.100000] shunt-vm: begin ./tc
[    9.300000] simnic simnic0: firmware reset
[    9.500000] Mirror/redirect action on
`

func TestQuiet(t *testing.T) {
	if got := Complaints(quiet); len(got) != 0 {
		t.Errorf("found in what is harmless: %q", got)
	}
}

func TestComplaintsTellWhen(t *testing.T) {
	long := strings.Repeat("[   11.2]  ? some_function+0x1/0x2\n", 100)
	got := Complaints(quiet + "[   10.0] shunt-vm: begin ./switchdev\r\n" +
		"[   11.0] before\n[   11.1] ------------[ cut here ]------------\n[   11.2] WARNING: CPU: 0 PID: 1 at x.c:1\n[   11.2] Call Trace:\n[   11.3]  f+0x1/0x2\n" +
		"[   11.4] ---[ end trace 0000000000000000 ]---\n[   11.5] after\n" +
		"[   12.0] shunt-vm: begin ./drivers/mlx5\n[   12.1] BUG: unable to handle page fault\n" + long)
	if len(got) < 2 {
		t.Fatalf("found %q, want two and more", got)
	}
	first, second := got[0], got[1]
	if want := "during ./switchdev:\n[   11.0] before\n[   11.1] ------------[ cut here ]------------\n[   11.2] WARNING: CPU: 0 PID: 1 at x.c:1\n" +
		"[   11.2] Call Trace:\n[   11.3]  f+0x1/0x2"; first != want {
		t.Errorf("first\n%s\nwant\n%s", first, want)
	}
	if !strings.HasPrefix(second, "during ./drivers/mlx5:\n") || strings.Count(second, "\n") > excerpt+3 {
		t.Errorf("second\n%s", second)
	}
}
