package daemon

import (
	"io"
	"log/slog"

	"github.com/shunt-offload/shunt/cmd/internal/config"
)

// newLog makes the program's log; level can be changed while it runs.
func newLog(cfg *config.Config, out io.Writer, level *slog.LevelVar) *slog.Logger {
	level.Set(levelOf(cfg))
	opts := &slog.HandlerOptions{Level: level}
	if cfg.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(out, opts))
	}
	return slog.New(slog.NewTextHandler(out, opts))
}

// levelOf reads log.level, which has been checked.
func levelOf(cfg *config.Config) slog.Level {
	var l slog.Level
	if err := l.UnmarshalText([]byte(cfg.Log.Level)); err != nil {
		return slog.LevelInfo
	}
	return l
}
