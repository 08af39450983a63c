package cli

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// usageError is a command that was written wrongly.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// errQuiet ends with an exit code and says nothing more: what there is to say
// was printed.
type errQuiet struct{ code int }

func (e errQuiet) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// report prints an error on one line and gives the exit code.
func (a *app) report(err error) int {
	var quiet errQuiet
	var usage *usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &quiet):
		return quiet.code
	case errors.As(err, &usage):
		fmt.Fprintln(a.err, "shuntctl:", err)
		return exitUsage
	}
	text, code := said(err)
	fmt.Fprintln(a.err, "shuntctl:", text)
	return code
}

// said turns an error of a call into a line and an exit code.
func said(err error) (string, int) {
	st, ok := status.FromError(err)
	if !ok {
		return err.Error(), exitFailed
	}
	text := st.Message()
	if r := reasonOf(st); r != "" {
		text += " (" + r + ")"
	}
	switch st.Code() {
	case codes.InvalidArgument:
		return text, exitUsage
	case codes.NotFound:
		return text, exitNotFound
	case codes.Unimplemented:
		return text + "; shuntd is older than shuntctl", exitFailed
	}
	return text, exitFailed
}

// reasonOf is the closed word of an error of ours.
func reasonOf(st *status.Status) string {
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetDomain() == "shunt" {
			return info.GetReason()
		}
	}
	return ""
}

// stopped reports whether the call ended because the user wanted it to.
func stopped(ctx context.Context, err error) bool {
	return ctx.Err() != nil && (errors.Is(err, ctx.Err()) || status.Code(err) == codes.Canceled)
}
