// Package interop runs third-party SFTP clients and test suites against the daemon: over SSH, and over standard input and
// output with sftpd stdio. If a tool is missing, its test is skipped, or fails if CI=true.
package interop
