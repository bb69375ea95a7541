// Package receiptkey keeps the keys that sign listeners' receipts: the private key in a Secret, and the public halves of the current
// and of earlier keys, for as long as receipts are verified. [Decide] is pure.
package receiptkey
