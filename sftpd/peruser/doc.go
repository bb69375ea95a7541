// Package peruser limits what one user, and all users of one namespace, can take from the others: CPU time, bytes of the audit
// log and memory for data that has not been read yet.
package peruser
