package config

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestDefault keeps default.yaml to these values: a change there is a change of
// behaviour for everyone who set nothing, and has to be made in two places.
func TestDefault(t *testing.T) {
	want := &Config{
		NIC:       NIC{Driver: "xdp", Ports: []string{}, Count: time.Second, Settings: map[string]string{}},
		Policy:    Policy{Name: "threshold", MinPackets: 16, MinAge: time.Second, Life: 10 * time.Minute, Untracked: "off", UntrackedLife: 5 * time.Minute, DropLife: 10 * time.Second, DropCeiling: 1024, Ruleset: "relearn", Idle: 30 * time.Second},
		Conntrack: Conntrack{Events: true, Acct: true, ReceiveBuffer: 64 << 20, Relist: 5 * time.Second},
		Route:     Route{Observer: "auto", Recheck: 30 * time.Second},
		API:       API{Socket: "/run/shunt/shuntd.sock"},
		Metrics:   Metrics{Listen: "127.0.0.1:9469"},
		Log:       Log{Level: "info", Format: "text"},
		OnExit:    "flush",
	}
	if diff := cmp.Diff(want, Default()); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	c := Default()
	c.NIC.Ports = []string{"eth0", "eth1"}
	if err := c.Check(nil); err != nil {
		t.Errorf("the defaults with two ports are refused: %v", err)
	}
}

// TestDefaultFile holds the printed file to its promise: every key is in it,
// each with its explanation above it, and it reads back as the defaults.
func TestDefaultFile(t *testing.T) {
	file := string(DefaultFile())
	for _, key := range Keys() {
		_, name := cut(key)
		at := regexp.MustCompile(`(?m)^( *# .*\n)+ *` + regexp.QuoteMeta(name) + `:`)
		if !at.MatchString(file) {
			t.Errorf("%s: not in default.yaml with a comment above it", key)
		}
	}
	_, f, err := Parse("default.yaml", DefaultFile())
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range Keys() {
		if _, ok := f.at[key]; !ok {
			t.Errorf("%s: default.yaml does not set it", key)
		}
	}
	c := new(Config) // over nothing, so that a value taken from elsewhere would show
	if err := c.merge("default.yaml", DefaultFile()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Default(), c); diff != "" {
		t.Errorf("it reads back as something else:\n%s", diff)
	}
}

// TestText: what --check prints is itself a configuration, the same one.
func TestText(t *testing.T) {
	c, _, err := Parse("t", []byte("nic: {ports: [a, b], settings: {mode: native, pin: true, depth: 3}}\npolicy: {idle: 90s}\n"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := c.Text()
	if err != nil {
		t.Fatal(err)
	}
	again := new(Config)
	if err := again.merge("text", []byte(text)); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if diff := cmp.Diff(c, again); diff != "" {
		t.Errorf("text reads back as something else:\n%s\n%s", diff, text)
	}
	want := map[string]string{"mode": "native", "pin": "true", "depth": "3"}
	if diff := cmp.Diff(want, c.NIC.Settings); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "shuntd.yaml")
	write := func(s string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("policy:\n  idle: 1m\n")
	c, f, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := Diff(Default(), c); !reflect.DeepEqual(got, []string{"policy.idle"}) {
		t.Errorf("one key set, these differ: %v", got)
	}
	c.Policy.Idle = 2 * time.Hour // as a flag might
	if err := c.Check(f); err == nil || !strings.Contains(err.Error(), path+":2:9: policy.idle: is 2h0m0s; allowed: 5s to 1h0m0s") {
		t.Errorf("Check says %v", err)
	}
	if _, _, err := Load(filepath.Join(dir, "none.yaml")); err == nil || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("a named file that is missing: %v", err)
	}
	write(strings.Repeat("#", maxFile+1))
	if _, _, err := Load(path); err == nil || !strings.Contains(err.Error(), "more than any configuration needs") {
		t.Errorf("a huge file: %v", err)
	}
}

// TestDiff changes each key in turn and wants exactly that one back.
func TestDiff(t *testing.T) {
	for _, key := range Keys() {
		c := Default()
		v := reflect.ValueOf(c).Elem()
		for name := range strings.SplitSeq(key, ".") {
			f, _ := member(v.Type(), name)
			v = v.FieldByIndex(f.Index)
		}
		switch v.Kind() {
		case reflect.Bool:
			v.SetBool(!v.Bool())
		case reflect.String:
			v.SetString(v.String() + "x")
		case reflect.Slice:
			v.Set(reflect.ValueOf([]string{"x"}))
		case reflect.Map:
			v.Set(reflect.ValueOf(map[string]string{"x": "y"}))
		case reflect.Uint32, reflect.Uint64:
			v.SetUint(v.Uint() + 1)
		default:
			v.SetInt(v.Int() + 1)
		}
		if got := Diff(Default(), c); !reflect.DeepEqual(got, []string{key}) {
			t.Errorf("changed %s, Diff says %v", key, got)
		}
	}
}

// FuzzParse: no input may panic, and what is accepted is checked without one.
func FuzzParse(f *testing.F) {
	f.Add(DefaultFile())
	for _, s := range []string{"", "a: 1", "nic: {ports: [a, b]}", "nic:\n  rules: -1", "- a", "nic: &x 1", "nic:\n  <<: *x", "? a\n: b", "nic: !!map {}", "\"\": 1", "nic:\n  ports:\n  - [a]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(_ *testing.T, src []byte) {
		c, file, err := Parse("f", src)
		if err == nil {
			_ = c.Check(file)
		}
	})
}
