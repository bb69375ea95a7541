// Package server is the SSH side of the daemon: it accepts connections, lets users log in, and passes each "sftp" subsystem to
// the package sftp. Nothing else of SSH is served: no shell, command, terminal, forwarding or environment.
//
// A connection has one goroutine that performs the handshake and then accepts channels, and one for
// each channel; golang.org/x/crypto/ssh adds four. sessions is the one place where a login becomes
// a session and where sessions are revoked: both under one lock and against the current
// configuration, so that a login in progress during a reload cannot keep what the reload removed.
//
// Package admission decides who may connect, handshake bounds a client before its login, and flow bounds what it sends and what
// it leaves unread. verdict classifies failed logins, sweep ends sessions whose time is up, drain ends all of them, subsystem
// answers requests on channels, directories opens the user's directories, hostproof proves host keys, and report logs what files
// were used for. This package combines them into a connection, and emits each event once; see package event.
package server
