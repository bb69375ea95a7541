package cryptopolicy

import (
	"time"

	"golang.org/x/crypto/ssh"
)

// Names of the policies.
const (
	// Modern2026 is the default: the post-quantum hybrid first, no SHA-1, no CBC, RSA only
	// with SHA-2 signatures.
	//
	// What it keeps for less capable clients: the two Diffie-Hellman exchanges for those
	// without curve25519, and the plain hmac-sha2 MACs for libssh2 before 1.11 (curl),
	// which knows neither AES-GCM nor the encrypt-then-MAC variants.
	Modern2026 = "Modern2026"
	// Strict2026 is for endpoints whose clients are all recent: the post-quantum hybrid and curve25519, authenticated encryption or
	// MACs over the ciphertext, no NIST curves except in hardware keys, RSA of at least 3072 bits.
	Strict2026 = "Strict2026"
	// Fips2026 is what golang.org/x/crypto/ssh supports in Go's FIPS 140-3 mode.
	Fips2026 = "Fips2026"
	// Legacy2026 is Modern2026 and, after it, what outdated appliances need: the NIST
	// curves, group 14, RSA signatures and MACs with SHA-1, AES-CBC.
	Legacy2026 = "Legacy2026"
)

// Default is the policy that replaces an expired exception policy.
const Default = Modern2026

// What RFC 4253 section 9 recommends; x/crypto would wait for 64 GiB with AES, however long that takes.
const (
	rekeyBytes = 1 << 30
	rekeyTime  = time.Hour
)

// Minimal sizes of RSA moduli in bits. NIST SP 800-131A disallows signatures with less
// than 2048, and 3072 is its equivalent of 128 bits of security (SP 800-57 part 1).
//
// Legacy2026 does not admit shorter ones either: keys outlive the exception, its host keys must also work under the default
// policy after it, and 1024 bits are within reach of attackers.
const (
	minRSABits       = 2048
	minRSABitsStrict = 3072
)

// aesGCM lists the ciphers for which processors have instructions. Without them, or with Go's ChaCha20 on amd64, each byte
// costs several times as much.
var aesGCM = []string{ssh.CipherAES128GCM, ssh.CipherAES256GCM}

// x/crypto adds curve25519-sha256@libssh.org after curve25519-sha256, its older name.
var policies = []Policy{
	{
		Name: Modern2026, MinRSABits: minRSABits, RekeyBytes: rekeyBytes, RekeyTime: rekeyTime, Preferred: aesGCM,
		KeyExchanges: []string{
			ssh.KeyExchangeMLKEM768X25519, ssh.KeyExchangeCurve25519,
			ssh.KeyExchangeDH16SHA512, ssh.KeyExchangeDHGEXSHA256,
		},
		Ciphers: []string{
			ssh.CipherAES128GCM, ssh.CipherAES256GCM, ssh.CipherChaCha20Poly1305,
			ssh.CipherAES128CTR, ssh.CipherAES192CTR, ssh.CipherAES256CTR,
		},
		MACs: []string{ssh.HMACSHA256ETM, ssh.HMACSHA512ETM, ssh.HMACSHA256, ssh.HMACSHA512},
		HostKeys: []string{
			ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
			ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256,
		},
		PublicKeys: []string{
			ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256,
			ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
			ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256,
		},
	},
	{
		Name: Strict2026, MinRSABits: minRSABitsStrict, RekeyBytes: rekeyBytes, RekeyTime: rekeyTime, Preferred: aesGCM,
		KeyExchanges: []string{ssh.KeyExchangeMLKEM768X25519, ssh.KeyExchangeCurve25519},
		Ciphers: []string{
			ssh.CipherAES256GCM, ssh.CipherAES128GCM, ssh.CipherChaCha20Poly1305,
			ssh.CipherAES256CTR, ssh.CipherAES192CTR, ssh.CipherAES128CTR,
		},
		MACs:     []string{ssh.HMACSHA512ETM, ssh.HMACSHA256ETM},
		HostKeys: []string{ssh.KeyAlgoED25519, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256},
		PublicKeys: []string{
			ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256,
			ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256,
		},
	},
	{
		Name: Fips2026, MinRSABits: minRSABits, RekeyBytes: rekeyBytes, RekeyTime: rekeyTime, Preferred: aesGCM,
		KeyExchanges: []string{
			ssh.KeyExchangeMLKEM768X25519,
			ssh.KeyExchangeECDHP256, ssh.KeyExchangeECDHP384, ssh.KeyExchangeECDHP521,
		},
		Ciphers: []string{
			ssh.CipherAES128GCM, ssh.CipherAES256GCM,
			ssh.CipherAES128CTR, ssh.CipherAES192CTR, ssh.CipherAES256CTR,
		},
		MACs: []string{ssh.HMACSHA256ETM, ssh.HMACSHA512ETM, ssh.HMACSHA256, ssh.HMACSHA512},
		// Ed25519 is in FIPS 186-5 and in Go's module.
		HostKeys: []string{
			ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
			ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256,
		},
		PublicKeys: []string{
			ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256,
			ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
			ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256,
		},
	},
	{
		Name: Legacy2026, Exception: true, MinRSABits: minRSABits, RekeyBytes: rekeyBytes, RekeyTime: rekeyTime, Preferred: aesGCM,
		KeyExchanges: []string{
			ssh.KeyExchangeMLKEM768X25519, ssh.KeyExchangeCurve25519,
			ssh.KeyExchangeDH16SHA512, ssh.KeyExchangeDHGEXSHA256,
			ssh.KeyExchangeECDHP256, ssh.KeyExchangeECDHP384, ssh.KeyExchangeECDHP521,
			ssh.KeyExchangeDH14SHA256, ssh.InsecureKeyExchangeDH14SHA1,
		},
		Ciphers: []string{
			ssh.CipherAES128GCM, ssh.CipherAES256GCM, ssh.CipherChaCha20Poly1305,
			ssh.CipherAES128CTR, ssh.CipherAES192CTR, ssh.CipherAES256CTR,
			ssh.InsecureCipherAES128CBC,
		},
		MACs: []string{ssh.HMACSHA256ETM, ssh.HMACSHA512ETM, ssh.HMACSHA256, ssh.HMACSHA512, ssh.HMACSHA1},
		HostKeys: []string{
			ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
			ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSA,
		},
		PublicKeys: []string{
			ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256,
			ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
			ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSA,
		},
	},
}
