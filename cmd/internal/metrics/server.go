package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	// scrapeTime is how long one scrape may take: Prometheus's own default.
	scrapeTime = 10 * time.Second
	// scrapes is how many may run at once: two Prometheus servers and a person.
	scrapes = 3
)

// Handler serves c, and what Go and the kernel know of the process.
func Handler(c *Collector, log *slog.Logger) (http.Handler, error) {
	reg := prometheus.NewPedanticRegistry()
	for _, col := range []prometheus.Collector{c, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		if err := reg.Register(col); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		MaxRequestsInFlight: scrapes,
		Timeout:             scrapeTime,
	}))
	return mux, nil
}

// Serve answers scrapes on l until ctx ends, and closes l.
func Serve(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second, // a client that does not ask is not waited for
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      scrapeTime + 5*time.Second,
		IdleTimeout:       2 * time.Minute, // longer than any scrape interval in use
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() }) // a cut scrape is repeated
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics on %s: %w", l.Addr(), err)
	}
	return nil
}
