package daemon

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/shunt-offload/shunt/cmd/internal/metrics"
	"github.com/shunt-offload/shunt/hwif/offload"
)

// start starts every goroutine of the program, but for those that a package
// starts for itself and waits for: the loop its sources and workers, the servers
// their connections. Each ends with ctx; the first error ends all.
func (d *daemon) start(ctx context.Context, group *errgroup.Group) {
	group.Go(func() error { return d.loop.Run(ctx) })
	group.Go(func() error { return d.api.Serve(ctx, d.listen.api()...) })
	if d.listen.metrics != nil {
		group.Go(func() error { return d.serveMetrics(ctx) })
	}
	group.Go(func() error { return d.watchDevice(ctx) })
	group.Go(func() error { return d.reloads(ctx) })
	group.Go(func() error { return d.announce(ctx) })
	if d.sources.play != nil {
		group.Go(func() error { return d.sources.play(ctx) })
	}
}

// announce tells systemd, and whoever asked, that the daemon serves and when it
// begins to end.
func (d *daemon) announce(ctx context.Context) error {
	if err := d.loop.Do(ctx, func(*offload.Engine) {}); err != nil {
		return nil // ended before it began; whoever failed says so
	}
	d.tell("READY=1")
	d.log.Info("shuntd serves", "socket", d.cfg.API.Socket)
	if d.opts.Ready != nil {
		d.opts.Ready()
	}
	<-ctx.Done()
	d.tell("STOPPING=1")
	d.log.Info("shuntd stops", "flows_in_hw", d.loop.Stats().RulesInHW/2, "on_exit", d.cfg.OnExit)
	return nil
}

func (d *daemon) tell(state string) {
	if err := notify(state); err != nil {
		d.log.Warn("systemd was not told", "state", state, "err", err)
	}
}

func (d *daemon) serveMetrics(ctx context.Context) error {
	from := metrics.Sources{Engine: d.loop.Stats}
	d.sources.stats(&from)
	h, err := metrics.Handler(metrics.NewCollector(from), d.log)
	if err != nil {
		return err
	}
	return metrics.Serve(ctx, d.listen.metrics, h, d.log)
}
