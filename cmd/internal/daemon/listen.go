package daemon

import (
	"fmt"
	"net"
	"os/user"
	"strconv"

	"github.com/shunt-offload/shunt/cmd/internal/card"
	"github.com/shunt-offload/shunt/cmd/internal/config"
	"github.com/shunt-offload/shunt/cmd/internal/rpc"
)

// listeners are bound before anything is changed: the unix socket's lock keeps
// two daemons apart, and a port that is taken is known at once.
type listeners struct {
	unix, tcp, metrics net.Listener
	ports              []net.Listener // of cards behind tc flower: see hold
}

func listen(cfg *config.Config) (l listeners, err error) {
	defer func() {
		if err != nil {
			l.close()
			l = listeners{}
		}
	}()
	gid, err := groupID(cfg.API.Group)
	if err != nil {
		return l, err
	}
	if l.unix, err = rpc.ListenUnix(cfg.API.Socket, rpc.UnixOptions{GID: gid}); err != nil {
		return l, fmt.Errorf("api.socket: %w", err)
	}
	if card.IsFlower(cfg.NIC.Driver) {
		if l.ports, err = hold(cfg.NIC.Ports); err != nil {
			return l, err
		}
	}
	if cfg.API.TCP != "" {
		if l.tcp, err = rpc.ListenTCP(cfg.API.TCP); err != nil {
			return l, fmt.Errorf("api.tcp: %w", err)
		}
	}
	if cfg.Metrics.Listen != "" {
		if l.metrics, err = net.Listen("tcp", cfg.Metrics.Listen); err != nil {
			return l, fmt.Errorf("metrics.listen: %w; choose another address, or \"\" for none", err)
		}
	}
	return l, nil
}

func groupID(name string) (int, error) {
	if name == "" {
		return -1, nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, usageError{&config.Error{Key: "api.group", Text: fmt.Sprintf("%q is no group on this host; groupadd --system %s makes it", name, name)}}
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		return 0, fmt.Errorf("group %s: %w", name, err)
	}
	return gid, nil
}

// api gives the listeners that the gRPC server serves.
func (l *listeners) api() []net.Listener {
	out := []net.Listener{l.unix}
	if l.tcp != nil {
		out = append(out, l.tcp)
	}
	return out
}

// close closes what no server has closed; closing twice is harmless.
func (l *listeners) close() {
	for _, c := range append([]net.Listener{l.unix, l.tcp, l.metrics}, l.ports...) {
		if c != nil {
			_ = c.Close()
		}
	}
}
