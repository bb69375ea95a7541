package cryptopolicy

import (
	"slices"

	"golang.org/x/sys/cpu"
)

// fastAES is whether this processor has what Go's crypto/aes and AES-GCM use.
var fastAES = cpu.X86.HasAES && cpu.X86.HasPCLMULQDQ && cpu.X86.HasSSE41 ||
	cpu.ARM64.HasAES && cpu.ARM64.HasPMULL ||
	cpu.S390X.HasAES && cpu.S390X.HasGHASH

// CiphersFor returns the ciphers to offer a client that offers these, from the client to the
// server and back (SSH_MSG_KEXINIT, RFC 4253 section 7.1): the preferred ones if it has one
// of them for either direction, else all. The first of the client's list that is also in the
// server's is chosen, so a list without the others is the only way to prefer one.
func (p Policy) CiphersFor(up, down []string) []string {
	preferred := func(c string) bool { return slices.Contains(p.Preferred, c) }
	if fastAES && slices.ContainsFunc(up, preferred) && slices.ContainsFunc(down, preferred) {
		return slices.Clone(p.Preferred)
	}
	return slices.Clone(p.Ciphers)
}
