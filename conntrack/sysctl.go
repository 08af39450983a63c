package conntrack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const sysctlDir = "/proc/sys/net/netfilter/"

// Timeouts are the kernel's own full time-outs in this namespace, seconds: what
// a flow in hardware is kept at. A per-entry time-out policy (nft ct timeout)
// is not visible here; its value comes with the entry's ASSURED event.
type Timeouts struct {
	TCPEstablished uint32 // nf_conntrack_tcp_timeout_established
	UDPStream      uint32 // nf_conntrack_udp_timeout_stream
}

// rereadAfter is how old the answer of Timeouts may be.
const rereadAfter = 10 * time.Second

// sysctls holds the files open: the namespace of a file in /proc/sys/net is that
// of the thread which opened it, for as long as it is open.
type sysctls struct {
	tcp, udp *os.File
	watched  []*watched
	mu       sync.Mutex
	last     Timeouts
	read     time.Time
}

func openSysctls() (*sysctls, error) {
	tcp, err := os.Open(sysctlDir + "nf_conntrack_tcp_timeout_established")
	if err != nil {
		return nil, fmt.Errorf("open time-out sysctl: %w", err)
	}
	udp, err := os.Open(sysctlDir + "nf_conntrack_udp_timeout_stream")
	if err != nil {
		tcp.Close()
		return nil, fmt.Errorf("open time-out sysctl: %w", err)
	}
	s := &sysctls{tcp: tcp, udp: udp}
	if _, err := s.timeouts(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *sysctls) close() {
	if s != nil {
		s.tcp.Close()
		s.udp.Close()
		for _, w := range s.watched {
			w.f.Close()
		}
	}
}

// timeouts gives the last good values when the files can no longer be read.
func (s *sysctls) timeouts() (Timeouts, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.read.IsZero() && time.Since(s.read) < rereadAfter {
		return s.last, nil
	}
	tcp, err1 := readSeconds(s.tcp)
	udp, err2 := readSeconds(s.udp)
	if err := errors.Join(err1, err2); err != nil {
		return s.last, err
	}
	s.last, s.read = Timeouts{TCPEstablished: tcp, UDPStream: udp}, time.Now()
	return s.last, nil
}

func readSeconds(f *os.File) (uint32, error) {
	var b [32]byte
	n, err := f.ReadAt(b[:], 0)
	if n == 0 && err != nil {
		return 0, fmt.Errorf("read %s: %w", f.Name(), err)
	}
	v, err := strconv.ParseUint(strings.TrimSpace(string(b[:n])), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", f.Name(), err)
	}
	return uint32(v), nil
}

// ensure makes the sysctl 1 if set, and says in one sentence what an operator
// should know when it is not. got is the value that holds afterwards.
func ensure(name string, set bool) (got string, changed bool, err error) {
	raw, err := os.ReadFile(sysctlDir + name)
	if err != nil {
		return "unreadable", false, err
	}
	got = strings.TrimSpace(string(raw))
	if got == "1" || !set {
		return got, false, nil
	}
	if err := os.WriteFile(sysctlDir+name, []byte("1"), 0); err != nil {
		return got, false, err
	}
	return "1", true, nil
}

// missing reports whether a sysctl's file is not there at all.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
