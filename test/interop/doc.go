// Package interop runs other people's SFTP clients and test suites against the
// protocol code, through the program in stdio. A tool that is missing skips its
// test, but fails it where the environment says CI=true.
package interop
