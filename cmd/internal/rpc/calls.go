package rpc

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	"google.golang.org/grpc"
)

// unary and stream stand around every call: a panic in one call must not take
// the daemon, and with it every offloaded flow, down.

func (s *Server) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (resp any, err error) {
	defer s.caught(ctx, info.FullMethod, &err)
	return next(ctx, req)
}

func (s *Server) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	defer s.caught(ss.Context(), info.FullMethod, &err)
	return next(srv, ss)
}

func (s *Server) caught(ctx context.Context, method string, err *error) {
	r := recover()
	if r == nil {
		return
	}
	s.log.LogAttrs(ctx, slog.LevelError, "call panicked", slog.String("method", method),
		slog.String("panic", fmt.Sprint(r)), slog.String("stack", string(debug.Stack())))
	*err = refuse(ReasonInternal, "the daemon met a fault of its own; its log says more")
}
