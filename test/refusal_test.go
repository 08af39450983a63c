//go:build netns

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/shunt-offload/shunt/sim/lab"
	"github.com/shunt-offload/shunt/sim/rig"
)

// refused runs shuntd in the router, wants it to end by itself with an error,
// and gives what it said.
func (s *stage) refused(cmd *exec.Cmd) string {
	s.Helper()
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	p, err := s.Router.Start(cmd)
	if err != nil {
		s.Fatal(err)
	}
	if err := p.Wait(); err == nil {
		s.Errorf("%v went well: %s", cmd.Args, out.String())
	}
	return out.String()
}

func (s *stage) says(text string, words ...string) {
	s.Helper()
	s.Logf("%s", strings.TrimSpace(text))
	for _, w := range words {
		if !strings.Contains(text, w) {
			s.Errorf("it does not say %q", w)
		}
	}
	if strings.Contains(text, "panic") || strings.Contains(text, "goroutine ") {
		s.Error("it panicked")
	}
}

func (s *stage) file(name, text string) string {
	s.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		s.Fatal(err)
	}
	return path
}

func TestShuntdSaysWhatIsWrongAndEnds(t *testing.T) {
	s := set(t, lab.Options{})
	api := "api: {socket: " + s.dir + "/s.sock}\n"
	t.Run("unknown key", func(t *testing.T) {
		f := s.file("key.yaml", "nic: {ports: [lan0, wan0]}\npolicy: {min_paket: 3}\n"+api)
		(&stage{T: t, Lab: s.Lab}).says(s.refused(exec.Command(programs.Shuntd, "--config", f)), "key.yaml", "min_paket")
	})
	t.Run("port that does not exist", func(t *testing.T) {
		f := s.file("port.yaml", "nic: {ports: [lan0, wan7]}\n"+api)
		(&stage{T: t, Lab: s.Lab}).says(s.refused(exec.Command(programs.Shuntd, "--config", f)), "wan7")
	})
	t.Run("kernel without BTF", func(t *testing.T) {
		f := s.file("btf.yaml", "nic: {ports: [lan0, wan0]}\n"+api)
		cmd := exec.Command("unshare", "--mount", "sh", "-c", `mount -t tmpfs none /sys/kernel/btf && exec "$0" --config "$1"`, programs.Shuntd, f)
		(&stage{T: t, Lab: s.Lab}).says(s.refused(cmd), "BTF", "CONFIG_DEBUG_INFO_BTF")
	})
	t.Run("no privileges", func(t *testing.T) {
		open := t.TempDir()
		for dir := open; dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
			if err := os.Chmod(dir, 0o777); err != nil {
				t.Fatal(err)
			}
		}
		f := filepath.Join(open, "user.yaml")
		if err := os.WriteFile(f, []byte("nic: {ports: [lan0, wan0]}\napi: {socket: "+open+"/s.sock}\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(programs.Shuntd, "--config", f)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		(&stage{T: t, Lab: s.Lab}).says(s.refused(cmd), "CAP_")
	})
}

func TestASecondDaemonOnTheSameSocketIsRefused(t *testing.T) {
	s := play(t, lab.Options{}, rig.DaemonOptions{})
	s.says(s.refused(exec.Command(programs.Shuntd, "--config", s.d.Config)), s.d.Socket)
	// The first one is as well as it was.
	s.ctl("devices")
}

func TestShuntctlSaysWhatIsWrong(t *testing.T) {
	s := play(t, lab.Options{}, rig.DaemonOptions{})
	for _, c := range []struct {
		name  string
		args  []string
		words []string
	}{
		{"a pin for an impossible tuple", []string{"flows", "pin", "tcp", "10.0.0.1:0", "198.51.100.10:80"}, []string{"port 0"}},
		{"a pin for another family", []string{"flows", "pin", "tcp", "10.0.0.1:5", "[2001:db8::1]:80"}, []string{"famil"}},
		{"a pin for multicast", []string{"flows", "pin", "udp", "10.0.0.1:5", "224.0.0.1:80"}, []string{"multicast"}},
		{"a lease in the past", []string{"flows", "pin", "tcp", "10.0.0.1:5", "198.51.100.10:80", "--lease", "-1s"}, []string{"lease"}},
		{"a filter with a typo", []string{"flows", "list", "stat=active"}, []string{"stat", "state"}},
		{"an evict of nothing", []string{"flows", "evict", "tcp", "10.0.0.1:5", "198.51.100.10:80"}, []string{"10.0.0.1:5"}},
		{"a verb that is none", []string{"flows", "lsit"}, []string{"lsit"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := s.d.Ctl(t.Context(), c.args...)
			if err == nil {
				t.Fatalf("it went well: %s", out)
			}
			(&stage{T: t, Lab: s.Lab}).says(err.Error(), c.words...)
		})
	}
	if err := s.d.Stop(); err != nil {
		t.Fatal(err)
	}
	out, err := s.d.Ctl(t.Context(), "devices")
	if err == nil {
		t.Fatalf("without a daemon it went well: %s", out)
	}
	s.says(err.Error(), s.d.Socket)
}
