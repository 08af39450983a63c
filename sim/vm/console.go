package vm

import (
	"regexp"
	"strings"
)

// complaint are the words with which a kernel says that something is wrong with
// itself.
var complaint = regexp.MustCompile(`BUG:|Oops|WARNING:|Kernel panic|general protection|unable to handle|INFO: task .* blocked|` +
	`rcu: INFO:|rcu_sched .*stall|possible recursive locking|possible circular locking|suspicious RCU usage|Call Trace:|` +
	`double fault|stack segment|refcount_t:|list_(add|del) corruption|unregister_netdevice: waiting for|slab .*corrupt|soft lockup`)

// harmless are lines of the same look that say nothing about us.
var harmless = regexp.MustCompile(`mitigations|spectre|retbleed|x86/cpu`)

// excerpt is how many lines after a complaint are shown.
const excerpt = 30

// Complaints finds what the kernel should not have said on its console, each with
// the lines that follow.
func Complaints(console string) []string {
	lines := strings.Split(console, "\n")
	var out []string
	for i := 0; i < len(lines); i++ {
		if !complaint.MatchString(lines[i]) || harmless.MatchString(lines[i]) {
			continue
		}
		end := min(i+excerpt, len(lines))
		out = append(out, strings.Join(lines[i:end], "\n"))
		i = end
	}
	return out
}
