// Command profiled is the daemon with a port for CPU profiles. The released daemon has no such port, because it would reveal
// too much.
//
//	profiled serve -config DIRECTORY -listen ADDRESS -health ADDRESS -profiles ADDRESS
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/daemon"
	"github.com/sftp-operator/sftp-operator/sftpd/gctune"
	"github.com/sftp-operator/sftp-operator/sftpd/gomaxprocs"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "profiled:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 || args[0] != "serve" {
		return errors.New("the first argument must be serve")
	}
	flags := flag.NewFlagSet("profiled serve", flag.ContinueOnError)
	dir := flags.String("config", "", "`directory` of the configuration")
	listen := flags.String("listen", "", "`address` to serve SFTP on")
	healthAddr := flags.String("health", "", "`address` to serve health checks on")
	profiles := flags.String("profiles", "", "`address` to serve /start and /stop on")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	listeners := make([]net.Listener, 3)
	for i, addr := range []string{*listen, *healthAddr, *profiles} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return err
		}
		listeners[i] = l
	}
	serveProfiles(listeners[2])
	d := daemon.New(daemon.Options{
		ConfigDir: *dir, SFTP: listeners[0], Health: listeners[1], Audit: os.Stdout,
		Log: slog.New(slog.NewJSONHandler(os.Stderr, nil)), Version: "profiled",
		Processors: gomaxprocs.New(),
	})
	gctune.SetMinHeap(gctune.Default, d.Received)
	return d.Run(ctx, context.Background())
}

// serveProfiles answers /start, and /stop with a CPU profile of the time between.
func serveProfiles(l net.Listener) {
	var profile bytes.Buffer
	mux := http.NewServeMux()
	mux.HandleFunc("/start", func(w http.ResponseWriter, _ *http.Request) {
		profile.Reset()
		if err := pprof.StartCPUProfile(&profile); err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
		}
	})
	mux.HandleFunc("/stop", func(w http.ResponseWriter, _ *http.Request) {
		pprof.StopCPUProfile()
		_, _ = w.Write(profile.Bytes())
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }()
}
