package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/receive"
)

// runReceive prints the events that a relay delivers, until SIGTERM.
func runReceive(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("sftpd receive", flag.ContinueOnError)
	flags.SetOutput(stderr)
	listen := flags.String("listen", ":8080", "`address` to receive events on")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "sftpd receive: unexpected argument %q\n", flags.Arg(0))
		return 2
	}
	log := slog.New(slog.NewJSONHandler(stderr, nil))
	ctx, _, stop := signals()
	defer stop()
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", *listen)
	if err != nil {
		log.Error("cannot listen", "error", err)
		return 1
	}
	log.Info("receiving", "address", l.Addr().String())
	server := receive.Server(receive.New(stdout))
	ended := make(chan error, 1)
	go func() { ended <- receive.Serve(server, l) }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = server.Shutdown(last)
	}
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		log.Error("ended", "error", err)
		return 1
	}
	return 0
}
