package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// Peer is who is at the other end of a unix socket, as the kernel says
// (SO_PEERCRED, at the time of connect). Over TCP, Local is false and the rest
// is nothing.
type Peer struct {
	credentials.CommonAuthInfo
	Local    bool
	PID      int32
	UID, GID uint32
	Addr     string // of a TCP peer
}

// AuthType is a word for gRPC's own use.
func (Peer) AuthType() string { return "peercred" }

// Name is the peer's user name, or "uid 1000" for a user without one.
func (p Peer) Name() string {
	if !p.Local {
		return p.Addr
	}
	id := strconv.FormatUint(uint64(p.UID), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "uid " + id
}

// peerOf finds the peer of a call.
func peerOf(ctx context.Context) Peer {
	if p, ok := peer.FromContext(ctx); ok {
		if cred, ok := p.AuthInfo.(Peer); ok {
			return cred
		}
		return Peer{Addr: p.Addr.String()}
	}
	return Peer{}
}

// peerCreds adds the peer's credentials to a connection and changes nothing on
// the wire.
type peerCreds struct{}

// ServerHandshake asks the kernel who connected.
func (peerCreds) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return c, Peer{CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.NoSecurity}, Addr: c.RemoteAddr().String()}, nil
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return nil, nil, fmt.Errorf("peer credentials: %w", err)
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return nil, nil, fmt.Errorf("peer credentials: %w", err)
	}
	if credErr != nil {
		return nil, nil, fmt.Errorf("peer credentials: SO_PEERCRED: %w", credErr)
	}
	// The kernel keeps the socket private: that is as good as a cipher.
	return c, Peer{CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
		Local: true, PID: cred.Pid, UID: cred.Uid, GID: cred.Gid}, nil
}

// ClientHandshake is not for clients.
func (peerCreds) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("peer credentials are for servers")
}

func (peerCreds) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "peercred"}
}

func (peerCreds) Clone() credentials.TransportCredentials { return peerCreds{} }

// OverrideServerName does nothing: there is no name to check.
func (peerCreds) OverrideServerName(string) error { return nil }
