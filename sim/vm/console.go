package vm

import (
	"regexp"
	"strings"
)

// complaints are the words with which a kernel says that something is wrong with
// it.
var complaints = []string{
	`BUG:`, // null pointers, page faults, sleeping while atomic, scheduling while atomic
	`kernel BUG at`,
	`WARNING: `,
	`Oops: `,
	`Kernel panic - not syncing`,
	`general protection fault`,
	`invalid opcode: `,
	`divide error: `,
	`stack segment: `,
	`double fault: `,
	`INFO: task .* blocked for more than`,
	`rcu: INFO: `,
	`detected stalls? on CPU`,
	`watchdog: .* lockup`,
	`possible recursive locking detected`,
	`possible circular locking dependency`,
	`inconsistent lock state`,
	`possible irq lock inversion`,
	`suspicious RCU usage`,
	`refcount_t: `,
	`list_(add|del) corruption`,
	`ODEBUG: `,
	`UBSAN: `,
	`Bad page `,
	`slab .* corrupted|Object already free|Redzone overwritten|Poison overwritten`,
	`page allocation failure`,
	`Out of memory: `,
	`unregister_netdevice: waiting for`, // leaked reference to an interface
	`RTNL: assertion failed`,
	`Call Trace:`,
}

var complaint = regexp.MustCompile(strings.Join(complaints, "|"))

// excerpt is how many lines of a complaint are shown, two before its first among
// them.
const excerpt = 45

// ConsoleMark begins what init writes to the console when a suite begins.
const ConsoleMark = "shunt-vm: begin "

// Complaints finds what the kernel should not have said on its console, each with
// its surroundings, and with the suite that ran at the time.
func Complaints(console string) []string {
	lines := strings.Split(strings.ReplaceAll(console, "\r", ""), "\n")
	var out []string
	during, shown := "", 0 // lines before shown are in an excerpt
	for i, line := range lines {
		if _, pkg, ok := strings.Cut(line, ConsoleMark); ok {
			during = "during " + pkg + ":\n"
		}
		if i < shown || !complaint.MatchString(line) {
			continue
		}
		end := min(i+excerpt, len(lines))
		for j := i; j < end; j++ {
			if strings.Contains(lines[j], "---[ end trace") || strings.Contains(lines[j], ConsoleMark) {
				end = j
				break
			}
		}
		begin := max(shown, i-2)
		for j := begin; j < i; j++ {
			if strings.Contains(lines[j], ConsoleMark) {
				begin = j + 1 // of this suite alone
			}
		}
		out = append(out, during+strings.TrimRight(strings.Join(lines[begin:end], "\n"), "\n"))
		shown = end
	}
	return out
}
