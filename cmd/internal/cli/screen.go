package cli

import (
	"os"

	"golang.org/x/sys/unix"

	pb "github.com/shunt-offload/shunt/proto/shunt/v1"
)

// screen is what stdout is.
type screen struct {
	width  int  // columns; 0 when it is no terminal: as wide as it gets
	colour bool // a terminal, and NO_COLOR is not set
}

func screenOf(f *os.File, getenv func(string) string) screen {
	fd := int(f.Fd())
	if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err != nil {
		return screen{}
	}
	s := screen{colour: getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"}
	if ws, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ); err == nil {
		s.width = int(ws.Col)
	}
	return s
}

// SGR colours.
const (
	plain  = "39"
	red    = "31"
	green  = "32"
	yellow = "33"
)

// paint colours s. Each cell of a painted column is painted, so that all have
// the same bytes too many and the columns stay straight.
func (s screen) paint(colour, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[39m"
}

func stateColour(st pb.State) string {
	switch st {
	case pb.State_STATE_ACTIVE, pb.State_STATE_INSTALLED:
		return green
	case pb.State_STATE_DENIED, pb.State_STATE_REJECTED:
		return red
	case pb.State_STATE_DIRTY, pb.State_STATE_BACKOFF, pb.State_STATE_REMOVING:
		return yellow
	}
	return plain
}
