// Package server is the SSH side of the daemon: it accepts connections, lets users log
// in, and hands each "sftp" subsystem to the package sftp. Nothing else of SSH is
// served: no shell, command, terminal, forwarding or environment.
//
// A connection has one goroutine that performs the handshake and then accepts channels, and one
// for each channel; golang.org/x/crypto/ssh adds four. The sessions are the one place where a login
// becomes a session and where sessions are taken away:
// both under one lock and against the configuration of that moment, so that no
// login that was under way during a reload slips through with what the reload removed.
//
// Who may connect, package admission decides; package handshake bounds a client before its login, and package flow what it
// sends and leaves lying. Package verdict judges logins that failed, sweep ends sessions whose time is over, drain all of them,
// subsystem answers requests on channels, directories opens what they are for, hostproof proves host keys, and report tells
// what files were used for. Here is what joins them to a connection. What happens is emitted once, see package event.
package server
