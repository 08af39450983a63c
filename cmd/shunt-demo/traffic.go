package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/shunt-offload/shunt/sim/traffic"
)

// trafficCommand is the checked traffic as a program, so that it can be started
// inside a network namespace. Each client prints its result as one line of JSON.
func trafficCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:    "traffic",
		Short:  "Send or answer traffic whose payload is checked at both ends",
		Hidden: true,
	}
	cmd.AddCommand(serveCommand(), tcpCommand(), udpCommand())
	return cmd
}

func serveCommand() *cobra.Command {
	var addrs []string
	cmd := &cobra.Command{
		Use:   "serve --listen HOST:PORT ...",
		Short: "Answer TCP and UDP clients until SIGTERM",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			return serve(ctx, addrs, slog.New(slog.NewTextHandler(os.Stderr, nil)))
		},
	}
	cmd.Flags().StringArrayVar(&addrs, "listen", nil, "address to answer on, TCP and UDP (repeat)")
	_ = cmd.MarkFlagRequired("listen")
	return cmd
}

// serve answers on every address, and says "ready" when all are open.
func serve(ctx context.Context, addrs []string, log *slog.Logger) error {
	type pair struct {
		ln *net.TCPListener
		pc *net.UDPConn
	}
	var pairs []pair
	for _, a := range addrs {
		at, err := net.ResolveTCPAddr("tcp", a)
		if err != nil {
			return err
		}
		ln, err := net.ListenTCP("tcp", at)
		if err != nil {
			return err
		}
		pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: at.IP, Port: at.Port, Zone: at.Zone})
		if err != nil {
			return err
		}
		pairs = append(pairs, pair{ln, pc})
	}
	fmt.Println("ready")
	errs := make([]error, len(pairs))
	var all sync.WaitGroup
	for i, p := range pairs {
		all.Go(func() { errs[i] = traffic.Serve(ctx, p.ln, p.pc, log) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// wait bounds a client's whole run: a connection that hangs is a failure to
// report, not to wait for.
func wait(cmd *cobra.Command, limit time.Duration) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
	ctx, cancel := context.WithTimeout(ctx, limit)
	return ctx, func() { cancel(); stop() }
}

func tcpCommand() *cobra.Command {
	var to string
	var from int
	var limit time.Duration
	req := traffic.TCPRequest{}
	cmd := &cobra.Command{
		Use:   "tcp --to HOST:PORT",
		Short: "Transfer bytes over TCP and compare SHA-256 at both ends",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := wait(cmd, limit)
			defer stop()
			d := net.Dialer{LocalAddr: &net.TCPAddr{Port: from}}
			c, err := d.DialContext(ctx, "tcp", to)
			if err != nil {
				return err
			}
			res, err := traffic.TCPClient(ctx, c.(*net.TCPConn), req, traffic.TCPOptions{})
			return errors.Join(json.NewEncoder(os.Stdout).Encode(res), err)
		},
	}
	f := cmd.Flags()
	f.StringVar(&to, "to", "", "server")
	f.IntVar(&from, "from", 0, "local port, 0 for any")
	f.DurationVar(&limit, "limit", 5*time.Minute, "give up after")
	f.Int64Var(&req.Bytes, "bytes", 200_000_000, "payload in each direction")
	f.Int64Var(&req.Rate, "rate", 0, "bytes per second in each direction, 0 for no limit")
	f.StringVar((*string)(&req.Direction), "direction", string(traffic.Up), "up, down or both")
	f.Uint64Var(&req.Seed, "seed", 1, "of the payload")
	_ = cmd.MarkFlagRequired("to")
	return cmd
}

func udpCommand() *cobra.Command {
	var to string
	var from int
	var limit time.Duration
	req := traffic.UDPRequest{}
	cmd := &cobra.Command{
		Use:   "udp --to HOST:PORT",
		Short: "Send numbered datagrams and count loss, doubles and corruption",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := wait(cmd, limit)
			defer stop()
			d := net.Dialer{LocalAddr: &net.UDPAddr{Port: from}}
			c, err := d.DialContext(ctx, "udp", to)
			if err != nil {
				return err
			}
			res, err := traffic.UDPClient(ctx, c.(*net.UDPConn), req, traffic.UDPOptions{})
			return errors.Join(json.NewEncoder(os.Stdout).Encode(res), err)
		},
	}
	f := cmd.Flags()
	f.StringVar(&to, "to", "", "server")
	f.IntVar(&from, "from", 0, "local port, 0 for any")
	f.DurationVar(&limit, "limit", 5*time.Minute, "give up after")
	f.IntVar(&req.Datagrams, "datagrams", 10_000, "in each direction")
	f.IntVar(&req.Size, "size", 512, "bytes of UDP payload")
	f.IntVar(&req.Rate, "rate", 1000, "datagrams per second in each direction")
	f.StringVar((*string)(&req.Direction), "direction", string(traffic.Both), "up, down or both")
	f.Uint64Var(&req.Seed, "seed", 1, "of the payload")
	_ = cmd.MarkFlagRequired("to")
	return cmd
}
