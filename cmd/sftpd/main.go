// Command sftpd is the SFTP daemon of sftp-operator. It does not need Kubernetes: a
// directory of configuration files is enough.
package main

import (
	"fmt"
	"io"
	"os"
	"runtime/debug"
)

// version is set at build time with -ldflags "-X main.version=...".
var version string

const usage = `sftpd serves SFTP to the users of a configuration directory.

Usage:
  sftpd serve [flags]    serve until SIGTERM
  sftpd probe [flags]    log in somewhere, write a file, read it back and remove it
  sftpd purge [flags]    count or remove the files that a deleted user has left on volumes
  sftpd receive [flags]  print the events that a relay delivers, to try them out
  sftpd relay [flags]    deliver the events of a listener's pods until SIGTERM
  sftpd retention [flags]  list the files that would be deleted, without deleting them
  sftpd stdio [flags]    serve one session on standard input and output, as sftp-server(8) does
  sftpd version          print the version

"sftpd serve -h", "sftpd probe -h" and so on list the flags.
`

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run returns the exit code: 0, 1 for a failure, 2 for wrong usage.
func run(args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return 2
	}
	switch args[0] {
	case "serve":
		return serve(args[1:], stdout, stderr)
	case "probe":
		return runProbe(args[1:], stdout, stderr)
	case "purge":
		return runPurge(args[1:], stdout, stderr)
	case "receive":
		return runReceive(args[1:], stdout, stderr)
	case "relay":
		return runRelay(args[1:], stdout, stderr)
	case "retention":
		return runRetention(args[1:], stdout, stderr)
	case "stdio", "-stdio", "--stdio":
		return runStdio(args[1:], os.Stdin, stdout, stderr)
	case "version", "-version", "--version":
		fmt.Fprintln(stdout, buildVersion())
		return 0
	case "help", "-h", "-help", "--help":
		fmt.Fprint(stdout, usage)
		return 0
	default:
		fmt.Fprintf(stderr, "sftpd: unknown command %q\n\n%s", args[0], usage)
		return 2
	}
}

// buildVersion returns version, or what the Go toolchain recorded.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
