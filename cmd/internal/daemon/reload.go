package daemon

import (
	"context"
	"strings"

	"github.com/shunt-offload/shunt/cmd/internal/config"
	"github.com/shunt-offload/shunt/hwif/offload"
)

// live reports whether a key takes effect without a restart.
func live(key string) bool { return strings.HasPrefix(key, "policy.") || key == "log.level" }

// reloads answers SIGHUP until ctx ends.
func (d *daemon) reloads(ctx context.Context) error {
	if d.opts.Reload == nil {
		return nil
	}
	inForce := d.cfg
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.opts.HUP:
			d.tell(reloading())
			inForce = d.reload(ctx, inForce)
			d.tell("READY=1")
		}
	}
}

// reload puts in force what can be changed at run time, says what cannot, and
// changes nothing when the file is refused. It gives what is in force then.
func (d *daemon) reload(ctx context.Context, old *config.Config) *config.Config {
	fresh, err := d.opts.Reload()
	if err != nil {
		d.log.Error("configuration refused; the old one stays in force", "err", err)
		return old
	}
	var done, left []string
	for _, key := range config.Diff(old, fresh) {
		if live(key) {
			done = append(done, key)
		} else {
			left = append(left, key)
		}
	}
	if len(left) > 0 {
		d.log.Warn("these keys take effect at the next start only", "keys", left)
	}
	if len(done) == 0 {
		d.log.Info("configuration read again; nothing that can change now has changed")
		return old
	}
	next := *old
	next.Policy, next.Log.Level = fresh.Policy, fresh.Log.Level
	if err := next.Check(nil); err != nil {
		// Sound by itself, but not beside what stays as it is.
		d.log.Error("configuration refused; the old one stays in force", "err", err)
		return old
	}
	opts := engineOptions(&next, d.sources)
	if err := d.loop.Do(ctx, func(e *offload.Engine) { e.SetOptions(opts) }); err != nil {
		return old // the daemon is ending
	}
	if err := d.thresholds(old, &next); err != nil {
		d.log.Error("the observer does not take its thresholds", "err", err)
	}
	d.level.Set(levelOf(&next))
	d.log.Info("configuration changed", "keys", done)
	return &next
}
