package conntrack

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
)

// watched is a sysctl that is to be 1 and that anybody may change while we run.
// Owned by the reader once Open has returned.
type watched struct {
	f       *os.File
	name    string
	set     bool   // write 1 when it is something else
	without string // what goes on without it, for the log
	known   string // the value last seen or told of; it is not told again
}

// watch opens the sysctls that look looks at. One that is not there has been
// reported by then, and is left out.
func (s *sysctls) watch(opts *Options) error {
	for _, w := range []*watched{
		{name: "nf_conntrack_events", set: opts.SetEvents, without: "connections begin and end unheard and are noticed by listing only"},
		{name: "nf_conntrack_acct", set: opts.Counters, without: "new entries carry no packet counts"},
	} {
		if err := w.open(); missing(err) {
			continue
		} else if err != nil {
			return err
		}
		s.watched = append(s.watched, w)
	}
	return nil
}

func (w *watched) open() (err error) {
	if w.set {
		w.f, err = os.OpenFile(sysctlDir+w.name, os.O_RDWR, 0)
	}
	if !w.set || err != nil && !missing(err) { // not ours to write: look() says so
		w.f, err = os.Open(sysctlDir + w.name)
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", w.name, err)
	}
	if w.known, err = w.value(); err != nil {
		w.f.Close()
	}
	return err
}

func (w *watched) value() (string, error) {
	var b [32]byte
	n, err := w.f.ReadAt(b[:], 0)
	if n == 0 && err != nil {
		return "", fmt.Errorf("read %s: %w", w.name, err)
	}
	return strings.TrimSpace(string(b[:n])), nil
}

// look sees to all of them. It is called at each listing.
func (s *sysctls) look(log *slog.Logger) {
	if s == nil {
		return
	}
	for _, w := range s.watched {
		w.look(log)
	}
}

// look sets the sysctl again if that was asked for, and says of each change by
// somebody else once what it means.
func (w *watched) look(log *slog.Logger) {
	got, err := w.value()
	switch {
	case err != nil:
		got = "unreadable"
	case got == "1":
		w.known = got
		return
	case w.set:
		_, err = w.f.WriteAt([]byte("1"), 0)
		if now, err2 := w.value(); err == nil && err2 == nil && now == "1" {
			log.Warn(fmt.Sprintf("conntrack: %s was set to %s by somebody; set to 1 again", w.name, got))
			w.known = now
			return
		} else if err == nil {
			err = errors.Join(err2, errors.New("it is "+now+" after writing 1"))
		}
	}
	if got == w.known {
		return
	}
	w.known = got
	log.Warn(fmt.Sprintf("conntrack: %s was set to %s by somebody%s: %s; set net.netfilter.%s=1", w.name, got, because(err), w.without, w.name))
}
