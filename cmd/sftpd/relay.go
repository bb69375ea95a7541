package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/delivery"
	"github.com/sftp-operator/sftp-operator/sftpd/relay"
)

// runRelay delivers events until SIGTERM. The configuration is read once: the operator replaces the pod when it changes.
func runRelay(args []string, _, stderr io.Writer) int {
	flags := flag.NewFlagSet("sftpd relay", flag.ContinueOnError)
	flags.SetOutput(stderr)
	dir := flags.String("config", "/etc/sftp-relay", "`directory` with "+delivery.ConfigFile)
	listen := flags.String("status", ":8081", "`address` to serve /livez, /readyz, /metrics and "+delivery.StatusPath+" on")
	verbose := flags.Bool("debug", false, "also log problems with individual pods")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "sftpd relay: unexpected argument %q\n", flags.Arg(0))
		return 2
	}
	level := slog.LevelInfo
	if *verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: level}))
	config, err := readRelay(*dir)
	if err != nil {
		log.Error("the configuration cannot be used", "error", err)
		return 1
	}
	ctx, _, stop := signals()
	defer stop()
	var lc net.ListenConfig
	status, err := lc.Listen(ctx, "tcp", *listen)
	if err != nil {
		log.Error("cannot listen", "error", err)
		return 1
	}
	r, err := relay.New(relay.Options{Config: config, Status: status, Log: log, Version: buildVersion()})
	if err == nil {
		err = r.Run(ctx)
	}
	if err != nil {
		log.Error("ended", "error", err)
		return 1
	}
	return 0
}

func readRelay(dir string) (delivery.Config, error) {
	f, err := os.Open(filepath.Join(dir, delivery.ConfigFile))
	if err != nil {
		return delivery.Config{}, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, delivery.MaxConfig+1))
	if err != nil {
		return delivery.Config{}, err
	}
	return delivery.Decode(data)
}
