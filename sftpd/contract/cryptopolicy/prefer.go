package cryptopolicy

import (
	"slices"

	"golang.org/x/sys/cpu"
)

// fastAES reports whether this processor has the instructions that Go's crypto/aes and AES-GCM use.
var fastAES = cpu.X86.HasAES && cpu.X86.HasPCLMULQDQ && cpu.X86.HasSSE41 ||
	cpu.ARM64.HasAES && cpu.ARM64.HasPMULL ||
	cpu.S390X.HasAES && cpu.S390X.HasGHASH

// CiphersFor returns the ciphers to offer a client that offers these, from the client to the server and back (SSH_MSG_KEXINIT,
// RFC 4253 section 7.1). The first cipher of the client's list that is also in the server's is chosen. So a client that
// supports a preferred cipher for either direction is not offered those that it would choose over it; it is offered all others.
func (p Policy) CiphersFor(up, down []string) []string {
	preferred := func(c string) bool { return slices.Contains(p.Preferred, c) }
	u, d := slices.IndexFunc(up, preferred), slices.IndexFunc(down, preferred)
	if !fastAES || u < 0 || d < 0 {
		return slices.Clone(p.Ciphers)
	}
	return slices.DeleteFunc(slices.Clone(p.Ciphers), func(c string) bool {
		return slices.Contains(up[:u], c) || slices.Contains(down[:d], c)
	})
}
