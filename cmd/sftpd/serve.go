package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/daemon"
	"github.com/sftp-operator/sftp-operator/sftpd/gctune"
	"github.com/sftp-operator/sftp-operator/sftpd/gomaxprocs"
	"github.com/sftp-operator/sftp-operator/sftpd/logqueue"
)

// lastLines is how long the last lines of the log may take. By then everything else has ended.
const lastLines = time.Second

func serve(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("sftpd serve", flag.ContinueOnError)
	flags.SetOutput(stderr)
	dir := flags.String("config", "/etc/sftpd", "`directory` of the configuration")
	listen := flags.String("listen", ":2222", "`address` to serve SFTP on")
	healthAddr := flags.String("health", ":8081", "`address` to serve /livez, /readyz, /configz and /metrics on")
	verbose := flags.Bool("debug", false, "log each request, and errors in handshakes")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "sftpd serve: unexpected argument %q\n", flags.Arg(0))
		return 2
	}
	level := slog.LevelInfo
	if *verbose {
		level = slog.LevelDebug
	}
	queue := logqueue.New(stderr)
	defer queue.Close(lastLines)
	log := slog.New(slog.NewJSONHandler(queue, &slog.HandlerOptions{Level: level}))
	// A closed standard output or error is a write error, and must not silently end the process.
	signal.Ignore(syscall.SIGPIPE)
	defer signal.Reset(syscall.SIGPIPE)

	ctx, force, stop := signals()
	defer stop()
	var lc net.ListenConfig
	sftp, err := lc.Listen(ctx, "tcp", *listen)
	if err != nil {
		log.Error("cannot listen for SFTP", "error", err)
		return 1
	}
	health, err := lc.Listen(ctx, "tcp", *healthAddr)
	if err != nil {
		log.Error("cannot listen for health checks", "error", err)
		return 1
	}
	// A pod's host name is its name: a ReplicaSet never creates one that exceeds a host name's length.
	pod, err := os.Hostname()
	if err != nil {
		log.Warn("host name is unknown: the operator cannot verify this daemon's reports", "error", err)
	}
	d := daemon.New(daemon.Options{
		ConfigDir: *dir, SFTP: sftp, Health: health, Audit: stdout, Log: log, LogDropped: queue.Dropped, Version: buildVersion(), Pod: pod,
		Processors: gomaxprocs.New(),
	})
	gctune.SetMinHeap(gctune.Default, d.Received)
	err = d.Run(ctx, force)
	// The log lists transfers that outlast the drain timeout. That is the purpose of the timeout, not a failure of the daemon.
	if err != nil && !errors.Is(err, daemon.ErrForced) {
		log.Error("ended", "error", err)
		return 1
	}
	return 0
}

// signals returns contexts that end with the first and with the second SIGTERM or SIGINT.
func signals() (first, second context.Context, stop func()) {
	first, cancelFirst := context.WithCancel(context.Background())
	second, cancelSecond := context.WithCancel(context.Background())
	c := make(chan os.Signal, 2)
	signal.Notify(c, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-c
		cancelFirst()
		<-c
		cancelSecond()
	}()
	return first, second, func() { signal.Stop(c) }
}
