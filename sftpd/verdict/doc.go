// Package verdict classifies failed logins: what to report for each, and how its source is penalized. It is pure; the server
// carries out its results.
package verdict
