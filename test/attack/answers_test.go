package attack

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

const endOfConnection = "the end"

// ask sends messages, each after the previous one has been answered, and returns the answers.
func ask(t *testing.T, addr string, messages func(p *daemontest.Peer) [][]byte) (answers []string) {
	t.Helper()
	p, err := daemontest.NewPeer(addr, "")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Exchange(); err != nil {
		t.Fatal(err)
	}
	for _, m := range messages(p) {
		if err := p.WritePacket(m); err != nil {
			return append(answers, endOfConnection)
		}
		answer, err := p.ReadPacket()
		if err != nil {
			return append(answers, endOfConnection)
		}
		answers = append(answers, fmt.Sprintf("%q", answer))
	}
	return answers
}

// keyRequest returns the request of RFC 4252 section 7, with a signature if the signer is not nil.
func keyRequest(t *testing.T, p *daemontest.Peer, user, algorithm string, key ssh.PublicKey, signer ssh.Signer) []byte {
	t.Helper()
	m := daemontest.Userauth(user, "publickey")
	if signer == nil {
		m = append(m, 0)
	} else {
		m = append(m, 1)
	}
	m = daemontest.AppendString(daemontest.AppendString(m, algorithm), string(key.Marshal()))
	if signer == nil {
		return m
	}
	signature, err := signer.Sign(nil, append(daemontest.AppendString(nil, string(p.Session())), m...))
	if err != nil {
		t.Fatal(err)
	}
	return daemontest.AppendString(m, string(ssh.Marshal(signature)))
}

// infoResponse returns the message of RFC 4256 section 3.4.
func infoResponse(answers ...string) []byte {
	m := []byte{daemontest.MsgInfoResponse, 0, 0, 0, byte(len(answers))}
	for _, a := range answers {
		m = daemontest.AppendString(m, a)
	}
	return m
}

// TestEqualAnswers: whatever a stranger sends, the answers are byte by byte those for a user who does not exist, and the
// connection ends at the same point.
func TestEqualAnswers(t *testing.T) {
	t.Parallel()
	dir := endpoint(t)
	dir.Listener.Sources.Penalties = false
	addUsers(t, dir)
	d := start(t, dir)
	stranger, _ := configtest.Key(t)
	other, _ := configtest.Key(t)
	password := daemontest.UserauthPassword
	interactive := func(user string) []byte {
		return daemontest.AppendString(daemontest.AppendString(daemontest.Userauth(user, "keyboard-interactive"), ""), "")
	}
	repeat := func(m []byte) (out [][]byte) {
		for range 8 {
			out = append(out, m)
		}
		return out
	}
	for name, try := range map[string]func(p *daemontest.Peer, user string) [][]byte{
		"none":               func(_ *daemontest.Peer, u string) [][]byte { return repeat(daemontest.Userauth(u, "none")) },
		"passwords":          func(_ *daemontest.Peer, u string) [][]byte { return repeat(password(u, "wrong")) },
		"empty password":     func(_ *daemontest.Peer, u string) [][]byte { return [][]byte{password(u, "")} },
		"overlong password":  func(_ *daemontest.Peer, u string) [][]byte { return [][]byte{password(u, strings.Repeat("x", 5000))} },
		"malformed password": func(_ *daemontest.Peer, u string) [][]byte { return [][]byte{append(password(u, "x"), 0)} },
		"change of password": func(_ *daemontest.Peer, u string) [][]byte {
			m := append(daemontest.Userauth(u, "password"), 1)
			return [][]byte{daemontest.AppendString(daemontest.AppendString(m, "old"), "new")}
		},
		"keyboard-interactive": func(_ *daemontest.Peer, u string) [][]byte {
			return [][]byte{interactive(u), infoResponse("wrong"), interactive(u), infoResponse(""), interactive(u), infoResponse("wrong")}
		},
		"no answer":   func(_ *daemontest.Peer, u string) [][]byte { return [][]byte{interactive(u), infoResponse()} },
		"two answers": func(_ *daemontest.Peer, u string) [][]byte { return [][]byte{interactive(u), infoResponse("a", "b")} },
		"something else for an answer": func(_ *daemontest.Peer, u string) [][]byte {
			return [][]byte{interactive(u), password(u, "wrong")}
		},
		"keys": func(p *daemontest.Peer, u string) [][]byte {
			return repeat(keyRequest(t, p, u, "ssh-ed25519", stranger.PublicKey(), nil))
		},
		"signed": func(p *daemontest.Peer, u string) [][]byte {
			return [][]byte{keyRequest(t, p, u, "ssh-ed25519", stranger.PublicKey(), stranger), password(u, "wrong")}
		},
		"signed by another key": func(p *daemontest.Peer, u string) [][]byte {
			return [][]byte{keyRequest(t, p, u, "ssh-ed25519", stranger.PublicKey(), other)}
		},
		"another algorithm": func(p *daemontest.Peer, u string) [][]byte {
			return [][]byte{keyRequest(t, p, u, "ssh-rsa", stranger.PublicKey(), nil), keyRequest(t, p, u, "ssh-dss", stranger.PublicKey(), nil)}
		},
		"key, then password": func(p *daemontest.Peer, u string) [][]byte {
			return [][]byte{keyRequest(t, p, u, "ssh-ed25519", stranger.PublicKey(), stranger), password(u, "secret!"), interactive(u), infoResponse("x")}
		},
		"unknown methods": func(_ *daemontest.Peer, u string) [][]byte {
			return [][]byte{daemontest.Userauth(u, "hostbased"), daemontest.Userauth(u, "gssapi-with-mic"), daemontest.Userauth(u, "")}
		},
		"another service": func(_ *daemontest.Peer, u string) [][]byte {
			m := daemontest.AppendString([]byte{daemontest.MsgUserauthRequest}, u)
			return [][]byte{daemontest.AppendString(daemontest.AppendString(m, "ssh-userauth"), "none")}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var want string
			for _, kind := range kinds {
				have := strings.Join(ask(t, d.Addr, func(p *daemontest.Peer) [][]byte { return try(p, kind) }), "\n")
				switch {
				case kind == kinds[0]:
					want = have
				case have != want:
					t.Errorf("%s is told\n%s\nand %s\n%s", kind, have, kinds[0], want)
				}
			}
			if want == "" || strings.Contains(want, `"4`) { // SSH_MSG_USERAUTH_SUCCESS is '4'
				t.Errorf("answers %s", want)
			}
		})
	}
	// The right password of a user who also needs a key first is answered like a wrong one.
	right := ask(t, d.Addr, func(*daemontest.Peer) [][]byte { return [][]byte{password("both", "secret")} })
	wrong := ask(t, d.Addr, func(*daemontest.Peer) [][]byte { return [][]byte{password("nobody", "secret")} })
	if right[0] != wrong[0] || right[0] == endOfConnection {
		t.Errorf("the user both is told %v, an unknown user %v", right, wrong)
	}
}
