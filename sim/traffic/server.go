package traffic

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

// Serve answers TCP clients on ln and UDP clients on pc until ctx ends, and
// closes both. Either may be nil. A client's failure is logged, never returned.
func Serve(ctx context.Context, ln *net.TCPListener, pc *net.UDPConn, log *slog.Logger) error {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	var all sync.WaitGroup
	var errs [2]error
	if pc != nil {
		defer pc.Close()
		all.Go(func() { errs[0] = serveUDP(ctx, pc) })
	}
	if ln != nil {
		stop := context.AfterFunc(ctx, func() { ln.Close() })
		defer stop()
		all.Go(func() { errs[1] = accept(ctx, ln, log) })
	}
	all.Wait()
	return errors.Join(errs[:]...)
}

func accept(ctx context.Context, ln *net.TCPListener, log *slog.Logger) error {
	defer ln.Close()
	var conns sync.WaitGroup
	defer conns.Wait()
	for {
		c, err := ln.AcceptTCP()
		if ctx.Err() != nil {
			if err == nil {
				c.Close()
			}
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("accept: %w", err)
		}
		if err != nil { // out of descriptors, or a connection that died in the queue
			log.Warn("accept", "err", err)
			time.Sleep(50 * time.Millisecond)
			continue
		}
		conns.Go(func() {
			if err := serveTCP(ctx, c); err != nil {
				log.Warn("transfer", "peer", c.RemoteAddr().String(), "err", err)
			}
		})
	}
}
