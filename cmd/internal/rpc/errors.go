package rpc

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/shunt-offload/shunt/cmd/internal/rpc/filter"
	"github.com/shunt-offload/shunt/hwif/offload"
)

// Domain is ErrorInfo's domain of every error of ours.
const Domain = "shunt"

// Reasons of ErrorInfo: a closed list. The first four are the words of
// offload.RefusalKind.
const (
	ReasonInvalid        = "invalid"          // the request makes no sense as it is
	ReasonNotFound       = "not_found"        // no such flow or intent
	ReasonConflict       = "conflict"         // another owner's word stands
	ReasonState          = "state"            // not possible as things stand now
	ReasonPermission     = "permission"       // this peer may not
	ReasonUnavailable    = "unavailable"      // the daemon is starting or ending
	ReasonTooManyWatches = "too_many_watches" // the limit is reached
	ReasonTooManyIntents = "too_many_intents" // as many pins and denials as are kept
	ReasonReaderTooSlow  = "reader_too_slow"  // changes come faster than they are read
	ReasonInternal       = "internal"         // our fault
)

// code is the gRPC code of each reason.
var code = map[string]codes.Code{
	ReasonInvalid:        codes.InvalidArgument,
	ReasonNotFound:       codes.NotFound,
	ReasonConflict:       codes.AlreadyExists,
	ReasonState:          codes.FailedPrecondition,
	ReasonPermission:     codes.PermissionDenied,
	ReasonUnavailable:    codes.Unavailable,
	ReasonTooManyWatches: codes.ResourceExhausted,
	ReasonTooManyIntents: codes.ResourceExhausted,
	ReasonReaderTooSlow:  codes.ResourceExhausted,
	ReasonInternal:       codes.Internal,
}

// refuse makes the error that a client sees. meta are pairs of name and value.
func refuse(reason, text string, meta ...string) error {
	info := &errdetails.ErrorInfo{Reason: reason, Domain: Domain}
	if len(meta) > 0 {
		info.Metadata = make(map[string]string, len(meta)/2)
		for i := 0; i+1 < len(meta); i += 2 {
			info.Metadata[meta[i]] = meta[i+1]
		}
	}
	st, err := status.New(code[reason], text).WithDetails(info)
	if err != nil { // cannot happen: ErrorInfo always marshals, and no code here is OK
		return status.Error(code[reason], text)
	}
	return st.Err()
}

// refusal translates the engine's no.
func refusal(err error) error {
	var no *offload.Refusal
	if errors.As(err, &no) {
		return refuse(no.Kind.String(), no.Text)
	}
	var many errTooMany
	if errors.As(err, &many) {
		return refuse(ReasonTooManyIntents, many.Error())
	}
	var bad *filter.Error
	if errors.As(err, &bad) {
		return invalid("filter", bad.Error())
	}
	return refuse(ReasonInternal, err.Error())
}

// errTooMany is the limit on pins and denials that has been reached.
type errTooMany int

func (n errTooMany) Error() string {
	return fmt.Sprintf("there are %d pins and denials, which is the limit; take some back, or give them leases (shuntctl intents lists them)", int(n))
}

// invalid refuses one field of a request.
func invalid(field, text string) error { return refuse(ReasonInvalid, text, "field", field) }

// unavailable is for a Do that failed: the caller left, or the loop ended.
func unavailable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return status.FromContextError(ctx.Err()).Err()
	}
	return refuse(ReasonUnavailable, "the daemon is starting or ending ("+err.Error()+"); try again in a moment")
}
