// Command kubectl-sftp is a plug-in of kubectl: `kubectl sftp` shows, checks and explains SFTP endpoints and logins, and
// hands out their keys and passwords.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"

	"github.com/sftp-operator/sftp-operator/cmd/kubectl-sftp/internal/command"
)

// version is set when the binary is built.
var version = "devel"

func main() {
	klog.SetLogger(logr.Discard()) // the errors contain what the libraries would log about a forwarded port
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := command.Run(ctx, command.Terminal{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, version, os.Args[1:])
	stop()
	os.Exit(code)
}
