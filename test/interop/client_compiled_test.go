package interop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
)

// Libraries of compiled languages. Their programs are built once for all tests, next to the daemon's.

const jschJar = "/usr/share/java/jsch.jar"

var (
	buildJSch   = sync.OnceValue(func() error { return compile("javac", "-cp", jschJar, "-d", builtDir(), "testdata/JSchClient.java") })
	buildLibssh = sync.OnceValue(func() error {
		return compile("gcc", "-O1", "-o", filepath.Join(builtDir(), "libssh_client"), "testdata/libssh_client.c", "-lssh")
	})
)

func builtDir() string { return filepath.Dir(server) }

func compile(args ...string) error {
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%q: %w\n%s", args, err, out)
	}
	return nil
}

// jschDriver returns the driver for Java's JSch. JSch supports neither Ed25519 nor OpenSSH's format of private keys, and signs
// with RSA and SHA-1 only.
func jschDriver() *driver {
	// One JIT compiler and little memory, because a virtual machine is started for each command.
	l := library{[]string{"java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", jschJar + ":" + builtDir(), "JSchClient"}, ""}
	d := l.driver("JSch")
	d.tools = []string{"java", "javac", "libjsch-java"}
	d.newKey, d.large = ecdsaKey, medium
	d.setUp = func(*account) error { return buildJSch() }
	d.space = l.space
	d.lacks = map[string]string{
		latin1Names: "its names are Java strings, which it encodes as UTF-8",
		"mirror up": filesAlone, "mirror down": filesAlone, "mirror again: only what changed, delete what is gone": filesAlone,
	}
	d.also = []special{l.session()}
	return d
}

func libsshDriver() *driver {
	l := library{[]string{filepath.Join(builtDir(), "libssh_client")}, ""}
	d := l.driver("libssh")
	d.tools = []string{"gcc", "libssh-dev"}
	d.setUp = func(*account) error { return buildLibssh() }
	d.parallel, d.replace = copier{}, nil
	d.space = l.space
	d.lacks = map[string]string{
		"mirror up": filesAlone, "mirror down": filesAlone, "mirror again: only what changed, delete what is gone": filesAlone,
		"rename over a file": "before 0.11 " + renameIsPlain,
	}
	d.also = []special{l.session()}
	return d
}

// ecdsaKey returns a key in the oldest format that supports its type.
func ecdsaKey(t testing.TB) (ssh.Signer, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
}
