package rpc

import (
	"context"

	"github.com/shunt-offload/shunt/hwif/offload"
)

// ask runs f on the engine's goroutine and gives its answer. After an error the
// engine may still run f, so nothing that f writes may be looked at: f returns
// what it has, and the answer is its own.
func ask[T any](ctx context.Context, s *Server, f func(*offload.Engine) T) (T, error) {
	answer := new(T)
	if err := s.eng.Do(ctx, func(e *offload.Engine) { *answer = f(e) }); err != nil {
		var zero T
		return zero, unavailable(ctx, err)
	}
	return *answer, nil
}
