package wire

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata/recorded-*.golden anew")

// recording is what one kernel sent, as message name and body.
type recording struct {
	file string
	what []string
	body [][]byte
}

func recordings(t testing.TB) (out []recording) {
	t.Helper()
	files, err := filepath.Glob("testdata/recorded-*.txt")
	if err != nil || len(files) != 2 {
		t.Fatalf("%v %v", files, err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		r := recording{file: f}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "#") {
				continue
			}
			name, msg, _ := strings.Cut(strings.TrimSpace(line), " ")
			b, err := hex.DecodeString(msg)
			if err != nil {
				t.Fatalf("%s: %v", f, err)
			}
			r.what, r.body = append(r.what, name), append(r.body, b)
		}
		out = append(out, r)
	}
	return out
}

// recorded gives the bodies of RTM messages, or of all others.
func recorded(t testing.TB, rtm bool, each func(b []byte)) {
	t.Helper()
	for _, r := range recordings(t) {
		for i, b := range r.body {
			if strings.HasPrefix(r.what[i], "RTM_") == rtm {
				each(b)
			}
		}
	}
}

// decode reads a message as its name says.
func decode(what string, b []byte) (any, error) {
	switch what {
	case "RTM_NEWLINK", "RTM_DELLINK":
		l, ok, err := ParseLink(b, what == "RTM_DELLINK")
		if err == nil && !ok {
			return "not about the interface itself", nil
		}
		return l, err
	case "DEVLINK_CMD_NEW", "DEVLINK_CMD_DEL":
		return ParseDev(b)
	case "DEVLINK_CMD_PORT_NEW", "DEVLINK_CMD_PORT_DEL":
		return ParsePort(b)
	case "DEVLINK_CMD_ESWITCH_GET":
		return ParseEswitch(b)
	case "DEVLINK_CMD_INFO_GET":
		return ParseInfo(b)
	case "DEVLINK_CMD_HEALTH_REPORTER_RECOVER":
		_, r, err := ParseReporter(b)
		return r, err
	case "ETHTOOL_MSG_FEATURES_GET_REPLY":
		f, err := ParseFeature(b, "hw-tc-offload", NoBit)
		if err == nil && f.Bit == NoBit { // compact: the one before has the names, and 49 is the number
			return ParseFeature(b, "hw-tc-offload", 49)
		}
		return f, err
	}
	return nil, fmt.Errorf("no parser for %s", what)
}

// TestRecorded holds the parsers to what two kernels really sent.
func TestRecorded(t *testing.T) {
	for _, r := range recordings(t) {
		var got bytes.Buffer
		for i, b := range r.body {
			v, err := decode(r.what[i], b)
			if err != nil {
				t.Errorf("%s: message %d, %s: %v", r.file, i, r.what[i], err)
			}
			fmt.Fprintf(&got, "%s %#v\n", r.what[i], v)
		}
		golden := strings.TrimSuffix(r.file, ".txt") + ".golden"
		if *update {
			if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), got.String()); d != "" {
			t.Errorf("%s (-want +got):\n%s", golden, d)
		}
	}
}

// TestRecordedCut: no beginning of a real message makes a parser panic or say
// nothing of what is missing in the middle of an attribute.
func TestRecordedCut(t *testing.T) {
	for _, r := range recordings(t) {
		for i, b := range r.body {
			refused := 0
			for n := range len(b) {
				if _, err := decode(r.what[i], b[:n:n]); err != nil {
					refused++
				}
			}
			if refused < len(b)/2 {
				t.Errorf("%s: message %d, %s: only %d of %d beginnings were refused", r.file, i, r.what[i], refused, len(b))
			}
		}
	}
}
