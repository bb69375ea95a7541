// Package receipts verifies files with signed receipts: signatures, chains, and the files that were uploaded. It needs no cluster.
package receipts
