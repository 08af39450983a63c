package rpc

import (
	"context"
	"fmt"
	"log/slog"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/offload"
	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

// minLease is the shortest lease: the engine looks at leases about once a second.
const minLease = time.Second

// maxLease is the longest lease, 366 days: longer is a typing error, and what
// is to stay for good has no lease.
const maxLease = 366 * 24 * time.Hour

// defaultHold keeps an evicted flow out of hardware: long enough to look at it
// with tcpdump.
const defaultHold = 30 * time.Second

const (
	maxOwner = 128 // bytes
	maxNote  = 1024
)

// write is one change that an operator asks for.
type write struct {
	verb  string
	owner string
	note  string
	tuple flow.Tuple // zero for a write about the daemon as a whole
	lease time.Duration
}

// do checks who asks, runs f on the engine's goroutine and logs what came of it.
// f gets the write with its owner filled in.
func (s *Server) do(ctx context.Context, w write, f func(e *offload.Engine, w *write) error) error {
	peer := peerOf(ctx)
	err := w.authorise(peer)
	if err == nil {
		err = w.words(peer)
	}
	if err == nil {
		var no error
		no, err = ask(ctx, s, func(e *offload.Engine) error {
			mine := w // the caller may be gone before this runs
			return f(e, &mine)
		})
		if err == nil && no != nil {
			err = refusal(no)
		}
	}
	s.logWrite(ctx, &w, peer, err)
	return err
}

// authorise lets operators write: whoever could open the unix socket.
func (w *write) authorise(p Peer) error {
	if p.Local {
		return nil
	}
	return refuse(ReasonPermission, w.verb+" over TCP is not permitted: nobody there is known; use the unix socket")
}

// words checks owner and note: they stand in logs and tables, on one line.
func (w *write) words(p Peer) error {
	if w.owner == "" {
		w.owner = p.Name()
	}
	if len(w.owner) > maxOwner {
		return invalid("owner", fmt.Sprintf("owner is longer than %d bytes", maxOwner))
	}
	if len(w.note) > maxNote {
		return invalid("note", fmt.Sprintf("note is longer than %d bytes", maxNote))
	}
	for field, s := range map[string]string{"owner": w.owner, "note": w.note} {
		if err := oneLine(field, s); err != nil {
			return err
		}
	}
	return nil
}

// oneLine refuses what would break or reorder a line on somebody's screen:
// controls, format characters (bidirectional overrides, zero-width ones), line
// and paragraph separators, and what is not assigned. Spaces of all widths stay.
func oneLine(field, s string) error {
	if !utf8.ValidString(s) {
		return invalid(field, field+" is not UTF-8")
	}
	for _, r := range s {
		if unicode.IsGraphic(r) {
			continue
		}
		return invalid(field, fmt.Sprintf("%s has the %s %U, which cannot be printed on one line; leave it out", field, class(r), r))
	}
	return nil
}

// class names what r is by its category in Unicode.
func class(r rune) string {
	switch {
	case unicode.Is(unicode.Cc, r):
		return "control character"
	case unicode.Is(unicode.Cf, r):
		return "format character"
	case unicode.Is(unicode.Zl, r):
		return "line separator"
	case unicode.Is(unicode.Zp, r):
		return "paragraph separator"
	default:
		return "unassigned or private character"
	}
}

func (s *Server) logWrite(ctx context.Context, w *write, p Peer, err error) {
	attrs := []slog.Attr{slog.String("verb", w.verb), slog.String("owner", w.owner)}
	if p.Local {
		attrs = append(attrs, slog.Uint64("uid", uint64(p.UID)), slog.Int("pid", int(p.PID)))
	} else {
		attrs = append(attrs, slog.String("peer", p.Addr))
	}
	if w.tuple != (flow.Tuple{}) {
		attrs = append(attrs, slog.String("tuple", w.tuple.String()))
	}
	if w.note != "" {
		attrs = append(attrs, slog.String("note", w.note))
	}
	if w.lease != 0 {
		attrs = append(attrs, slog.Duration("lease", w.lease))
	}
	level, text := slog.LevelInfo, "operator's word taken"
	if err != nil {
		level, text = slog.LevelWarn, "operator's word refused"
		attrs = append(attrs, slog.String("error", status.Convert(err).Message()))
	}
	s.log.LogAttrs(ctx, level, text, attrs...)
}

// leaseFrom reads a lease; 0 means until taken back.
func leaseFrom(field string, d *durationpb.Duration) (time.Duration, error) {
	if d == nil {
		return 0, nil
	}
	if err := d.CheckValid(); err != nil {
		return 0, invalid(field, fmt.Sprintf("%s is no valid duration: %v", field, err))
	}
	switch lease := d.AsDuration(); {
	case lease <= 0:
		return 0, invalid(field, fmt.Sprintf("%s %s would be over before it begins; give a positive one, or none", field, lease))
	case lease < minLease:
		return 0, invalid(field, fmt.Sprintf("%s %s is too short; allowed: %s to %s", field, lease, minLease, maxLease))
	case lease > maxLease:
		return 0, invalid(field, fmt.Sprintf("%s %s is longer than a year (%s); give none to keep it until it is taken back", field, lease, maxLease))
	default:
		return lease, nil
	}
}

// target reads what most writes have in common.
func target(verb string, t *pb.Tuple, owner, note, field string, lease *durationpb.Duration) (write, error) {
	w := write{verb: verb, owner: owner, note: note}
	var err error
	if w.tuple, err = tupleFrom(t); err != nil {
		return w, err
	}
	w.lease, err = leaseFrom(field, lease)
	return w, err
}
