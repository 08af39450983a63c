package tc_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/shunt-offload/shunt/tc"
)

var update = flag.Bool("update", false, "write testdata/golden.txt anew: runs tc under strace, as root; the kernel's answer does not matter")

const goldenFile = "testdata/golden.txt"

// A golden vector is what iproute2's tc itself sends for a rule: its command line,
// then the message in hex. Interfaces are lo, whose number is 1 everywhere.
func TestGolden(t *testing.T) {
	list := samples(1, 1)
	if *update {
		record(t, list)
	}
	vectors := readGolden(t)
	if len(vectors) < 40 {
		t.Fatalf("%d vectors, want 40 at least", len(vectors))
	}
	for i := range list {
		s := &list[i]
		line := strings.Join(words(s, "lo", "lo"), " ")
		want, ok := vectors[line]
		if !ok {
			t.Errorf("%s: no vector for: tc %s\nrun: go test ./tc -run TestGolden -update", s.name, line)
			continue
		}
		shape := s.shape
		shape.Ethertype = true
		ours, err := tc.Append(nil, 1, &s.filter, &shape)
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		// With "protocol all" the classifier's protocol alone is another.
		if all, err := tc.Append(nil, 1, &s.filter, &s.shape); err != nil || !s.shape.Ethertype && !sameButProtocol(all, ours) {
			t.Errorf("%s: protocol all changes more than the protocol: %v", s.name, err)
		}
		if got, want := normal(ours), normal(want); got != want {
			t.Errorf("%s: tc %s\n%s", s.name, line, difference(got, want))
		}
	}
}

// normal is a message with its attributes in order, one a line. What it takes away
// of both sides is all that may differ:
//
//   - the sequence number, and NLA_F_NESTED, which tc sets on some nests;
//   - the order of attributes within a nest, but that of actions and pedit keys;
//   - TCA_VLAN_PUSH_VLAN_PRIORITY and _PROTOCOL are never sent by either here;
//   - tc's structs of mirred and csum are as long as ours.
func normal(b []byte) string {
	var s strings.Builder
	fmt.Fprintf(&s, "type %d flags %#x tcmsg %x\n", ne16(b[4:]), ne16(b[6:]), b[16:36])
	s.WriteString(normalAttrs(b[36:], "", isNest))
	return s.String()
}

// difference shows the lines that only one side has.
func difference(ours, tcs string) string {
	a, b := strings.Split(ours, "\n"), strings.Split(tcs, "\n")
	var out []string
	for _, l := range a {
		if !slices.Contains(b, l) {
			out = append(out, "ours "+l)
		}
	}
	for _, l := range b {
		if !slices.Contains(a, l) {
			out = append(out, "tc's "+l)
		}
	}
	if out == nil {
		return "the same lines in another order:\nours\n" + ours + "tc's\n" + tcs
	}
	return strings.Join(out, "\n")
}

// sameButProtocol: tcm_info's upper half stands at 34.
func sameButProtocol(all, one []byte) bool {
	return len(all) == len(one) && ne16(all[32:]) == 0x0300 && bytes.Equal(all[:32], one[:32]) && bytes.Equal(all[34:], one[34:])
}

func ne16(b []byte) uint16 { return uint16(b[0]) | uint16(b[1])<<8 }

// nests of a filter message by path.
var nests = regexp.MustCompile(`^(/2|/2/3|/2/3/\d+|/2/3/\d+/2|/2/3/\d+/2/5|/2/3/\d+/2/5/6)$`)

func isNest(path string) bool { return nests.MatchString(path) }

func normalAttrs(b []byte, path string, isNest func(string) bool) string {
	var lines []string
	for len(b) >= 4 {
		n := int(ne16(b))
		if n < 4 || n > len(b) {
			return fmt.Sprintf("%s malformed %x\n", path, b)
		}
		p := fmt.Sprintf("%s/%d", path, ne16(b[2:])&0x3fff)
		// Only pedit has keys in attribute 5 of its options; elsewhere 5 is a value.
		if isNest(p) && !(strings.HasSuffix(path, "/2") && strings.Count(p, "/") == 6 && n < 8) {
			lines = append(lines, p+"\n"+normalAttrs(b[4:n], p, isNest))
		} else {
			lines = append(lines, fmt.Sprintf("%s %x\n", p, b[4:n]))
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	if !strings.HasSuffix(path, "/5") { // pedit keys have an order
		slices.Sort(lines)
	}
	return strings.Join(lines, "")
}

func readGolden(t *testing.T) map[string][]byte {
	t.Helper()
	text, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for block := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n\n") {
		line, dump, _ := strings.Cut(block, "\n")
		raw, err := hex.DecodeString(strings.ReplaceAll(dump, "\n", ""))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		out[strings.TrimPrefix(line, "tc ")] = raw
	}
	return out
}

// record runs tc for each rule and keeps the message that it sends.
func record(t *testing.T, list []sample) {
	t.Helper()
	var out bytes.Buffer
	for i := range list {
		args := words(&list[i], "lo", "lo")
		raw := sent(t, args)
		fmt.Fprintf(&out, "tc %s\n", strings.Join(args, " "))
		for b := raw; len(b) > 0; b = b[min(40, len(b)):] {
			fmt.Fprintf(&out, "%x\n", b[:min(40, len(b))])
		}
		out.WriteByte('\n')
	}
	if err := os.WriteFile(goldenFile, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// sent is the RTM_NEWTFILTER message that tc gives to the kernel, as strace saw it.
func sent(t *testing.T, args []string) []byte {
	t.Helper()
	trace := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command("strace", append([]string{"-o", trace, "-e", "trace=sendmsg,sendto", "-e", "verbose=all", "-xx", "-s", "65536", "--decode-fds=none", "-X", "raw", "-e", "write=all", "tc"}, args...)...)
	said, _ := cmd.CombinedOutput() // the kernel may say no
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatalf("strace: %v: %s", err, said)
	}
	// "-e write=all" dumps what was written as hex lines: " | 00000  aa bb …  |".
	var raw []byte
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, " |") {
			if len(raw) > 6 && ne16(raw[4:]) == 44 {
				return raw
			}
			if !strings.HasPrefix(line, " *") {
				raw = nil
			}
			continue
		}
		fields := strings.Fields(strings.TrimPrefix(line, " |"))
		for _, f := range fields[1:] {
			b, err := hex.DecodeString(f)
			if err != nil || len(f) != 2 || len(raw) >= 1<<16 {
				break
			}
			raw = append(raw, b...)
		}
	}
	if len(raw) > 6 && ne16(raw[4:]) == 44 {
		return raw
	}
	t.Fatalf("tc %s sent no filter: %s", strings.Join(args, " "), said)
	return nil
}
