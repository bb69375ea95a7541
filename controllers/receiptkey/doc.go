// Package receiptkey keeps the keys that sign listeners' receipts: the private key in a Secret, and the public halves of the
// current and earlier keys, which are needed to verify old receipts. [Decide] is pure.
package receiptkey
