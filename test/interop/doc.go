// Package interop runs other people's SFTP clients and test suites against the
// daemon: over SSH, and over standard input and output with sftpd stdio. A tool that is missing skips its
// test, but fails it where the environment says CI=true.
package interop
