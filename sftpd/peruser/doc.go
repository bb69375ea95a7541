// Package peruser bounds what one user can take from the others: turns on the processors, bytes of the audit log and memory
// for data that has not been read yet.
package peruser
