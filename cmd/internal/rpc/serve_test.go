package rpc_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectpb "google.golang.org/grpc/reflection/grpc_reflection_v1"

	"github.com/shunt-offload/shunt/cmd/internal/rpc"
	"github.com/shunt-offload/shunt/cmd/internal/rpc/rpctest"
	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

func TestListenUnix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "shuntd.sock")
	l, err := rpc.ListenUnix(path, rpc.UnixOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o660 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
	if _, err := rpc.ListenUnix(path, rpc.UnixOptions{}); err == nil || !strings.Contains(err.Error(), "another shuntd listens on "+path) {
		t.Errorf("second listener: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("after the end the socket is still there: %v", err)
	}
	l, err = rpc.ListenUnix(path, rpc.UnixOptions{Mode: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

// TestListenStale: what a dead daemon left is replaced.
func TestListenStale(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shuntd.sock")
	dead, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	// A live one without our lock, as of another version, is met by connecting.
	if _, err := rpc.ListenUnix(path, rpc.UnixOptions{}); err == nil || !strings.Contains(err.Error(), "another shuntd listens on") {
		t.Errorf("over a live socket: %v", err)
	}
	dead.Close()
	l, err := rpc.ListenUnix(path, rpc.UnixOptions{})
	if err != nil {
		t.Fatal(err)
	}
	l.Close()

	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := rpc.ListenUnix(path, rpc.UnixOptions{}); err == nil || !strings.Contains(err.Error(), "is no socket; remove it") {
		t.Errorf("over a file: %v", err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "mine" {
		t.Errorf("the file is now %q, %v", b, err)
	}
}

func TestListenTCP(t *testing.T) {
	for addr, says := range map[string]string{
		"0.0.0.0:0": "only loopback", "192.0.2.1:1": "only loopback", "[::]:0": "only loopback",
		"localhost:1": "write an address and a port", ":80": "write an address and a port",
	} {
		if _, err := rpc.ListenTCP(addr); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func TestHealth(t *testing.T) {
	for _, unsynced := range []bool{false, true} {
		_, c := start(t, rpctest.Options{Unsynced: unsynced})
		want := healthpb.HealthCheckResponse_SERVING
		if unsynced {
			want = healthpb.HealthCheckResponse_NOT_SERVING
			// Reads are answered all the same.
			if st, err := c.GetStats(t.Context(), &pb.GetStatsRequest{}); err != nil || st.GetStats().GetSources()[0].GetSynced() {
				t.Errorf("stats %v, %v", st, err)
			}
		}
		hc := healthpb.NewHealthClient(c.ClientConn)
		for _, name := range []string{"", "shunt.v1.FlowService", "shunt.v1.AgentService"} {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			for ctx.Err() == nil {
				r, err := hc.Check(ctx, &healthpb.HealthCheckRequest{Service: name})
				if err == nil && r.GetStatus() == want {
					break
				}
				time.Sleep(time.Millisecond)
			}
			if ctx.Err() != nil {
				t.Errorf("service %q is never %v", name, want)
			}
			cancel()
		}
	}
}

func TestReflection(t *testing.T) {
	_, c := start(t, rpctest.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s, err := reflectpb.NewServerReflectionClient(c.ClientConn).ServerReflectionInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(&reflectpb.ServerReflectionRequest{MessageRequest: &reflectpb.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	r, err := s.Recv()
	if err != nil || !strings.Contains(r.String(), "shunt.v1.FlowService") {
		t.Errorf("%v, %v", r, err)
	}
}

func TestDevices(t *testing.T) {
	h, c := start(t, rpctest.Options{MaxRules: 77})
	h.Conn(rpctest.Entry("tcp", "10.0.0.1:4000", "192.0.2.1:80"))
	until(t, c, tcp("10.0.0.1:4000", "192.0.2.1:80"), pb.State_STATE_INSTALLED)
	r, err := c.ListDevices(t.Context(), &pb.ListDevicesRequest{})
	if err != nil || len(r.GetDevices()) != 1 {
		t.Fatalf("%v, %v", r, err)
	}
	d := r.GetDevices()[0]
	if d.GetDriver() != "memory" || d.GetUsed() != 2 || d.GetCapabilities().GetMaxRules() != 77 || len(d.GetPorts()) != 3 ||
		d.GetPorts()[2].GetRefused() == "" || d.GetCapabilities().GetCounters() != pb.CounterKind_COUNTER_KIND_FULL ||
		len(d.GetCapabilities().GetFields()) == 0 || len(d.GetCapabilities().GetNotes()) != 1 {
		t.Errorf("device %v", d)
	}
	for i, want := range []string{"[wan dmz]", "", "[]"} { // absent: every port
		got := ""
		if j := d.GetPorts()[i].GetJoins(); j != nil {
			got = fmt.Sprint(j.GetPorts())
		}
		if got != want {
			t.Errorf("%s joins %q, want %q", d.GetPorts()[i].GetName(), got, want)
		}
	}
}

// TestLateAnswers: a call whose loop has ended is told so.
func TestLateAnswers(t *testing.T) {
	h, c := start(t, rpctest.Options{})
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.GetStats(t.Context(), &pb.GetStatsRequest{}); err == nil {
		t.Error("an answer from a dead daemon")
	}
}

// TestPeer: the owner of a write is who the kernel says has connected, also
// when that is not root.
func TestPeer(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("another user's identity can be taken by root alone; this is uid", os.Getuid())
	}
	h, c := start(t, rpctest.Options{})
	if err := os.Chmod(h.Socket, 0o666); err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(h.Socket); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const uid = 64123 // without a name
	bin := filepath.Join(filepath.Dir(h.Socket), "peer.test")
	if err := copyFile(exe, bin); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "-test.run=^TestPeerChild$", "-test.v")
	cmd.Env = append(os.Environ(), "SHUNT_PEER_SOCKET="+h.Socket)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	r, err := c.ListIntents(t.Context(), &pb.ListIntentsRequest{})
	if err != nil || len(r.GetIntents()) != 1 || r.GetIntents()[0].GetOwner() != "uid 64123" {
		t.Errorf("%v, %v", r, err)
	}
}

// TestPeerChild is the other user of TestPeer.
func TestPeerChild(t *testing.T) {
	socket := os.Getenv("SHUNT_PEER_SOCKET")
	if socket == "" {
		return
	}
	c, err := (&rpctest.Host{Socket: socket}).Dial("")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.PinFlow(t.Context(), &pb.PinFlowRequest{Tuple: tcp("10.0.0.1:4000", "192.0.2.1:80")}); err != nil {
		t.Fatal(err)
	}
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o755)
}
