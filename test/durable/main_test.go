package durable

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// Environment of a child: the step at which it kills itself, how often it reaches that step before that, and whether counting
// begins at the start or with a SIGUSR1.
const (
	childStep  = "DURABLE_CHILD_STEP"
	childCount = "DURABLE_CHILD_COUNT"
	childAt    = "DURABLE_CHILD_AT"
)

func TestMain(m *testing.M) {
	if step, ok := os.LookupEnv(childStep); ok {
		child(step)
		return
	}
	if file := os.Getenv(relayConfig); file != "" {
		relayChild(file)
	}
	os.Exit(m.Run())
}

// child runs the daemon. It never returns.
func child(step string) {
	f := flag.NewFlagSet("serve", flag.ExitOnError)
	dir, sftp, health := f.String("config", "", ""), f.String("listen", "", ""), f.String("health", "", "")
	if err := f.Parse(os.Args[2:]); err != nil {
		panic(err)
	}
	count, err := strconv.Atoi(os.Getenv(childCount))
	if err != nil {
		panic(err)
	}
	var seen atomic.Int64
	var armed atomic.Bool
	armed.Store(os.Getenv(childAt) == "start")
	arm := make(chan os.Signal, 1)
	signal.Notify(arm, syscall.SIGUSR1)
	go func() {
		<-arm
		armed.Store(true)
	}()
	d := daemon.New(daemon.Options{
		ConfigDir: *dir, SFTP: listen(*sftp), Health: listen(*health), Audit: os.Stdout, Version: "test", Pod: daemontest.Pod,
		Log: slog.New(slog.NewJSONHandler(os.Stderr, nil)),
		EventStep: func(at string) {
			if at == step && armed.Load() && seen.Add(1) == int64(count) {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {} // it takes a moment
			}
		},
	})
	if err := d.Run(context.Background(), context.Background()); err != nil {
		panic(err)
	}
}

func listen(addr string) net.Listener {
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		panic(err)
	}
	return l
}

// start runs a child that kills itself at a step after arm; "" for none.
func start(t *testing.T, dir *configtest.Dir, step string, count int) *daemontest.Daemon {
	t.Helper()
	return daemontest.StartCommand(t, dir, os.Args[0], func(cmd *exec.Cmd) { cmd.Env = environment(step, count, "") })
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Fatal(err)
	}
}

func arm(t *testing.T, d *daemontest.Daemon) {
	t.Helper()
	if err := syscall.Kill(d.PID, syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
}

// startAndDie runs a child that kills itself the first time it reaches a step, and reports whether it did so
// within two seconds, while settling what the previous one left behind. Otherwise it is killed.
func startAndDie(t *testing.T, dir *configtest.Dir, step string) bool {
	t.Helper()
	dir.Write(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "serve", "-config", dir.Path, "-listen", "127.0.0.1:0", "-health", "127.0.0.1:0")
	cmd.Env = environment(step, 1, "start")
	_ = cmd.Run()
	return ctx.Err() == nil
}

func environment(step string, count int, at string) (env []string) {
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "DURABLE_") {
			env = append(env, v)
		}
	}
	return append(env, childStep+"="+step, childCount+"="+strconv.Itoa(count), childAt+"="+at)
}
