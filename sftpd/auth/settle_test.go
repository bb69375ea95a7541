package auth

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/totp"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// TestReplayOnAnotherPodSettlesNothing: a code that another pod has accepted is refused here, and replaying it does not clear
// the user's wrong codes.
func TestReplayOnAnotherPodSettlesNothing(t *testing.T) {
	phone := totp.Generate()
	key, _ := configtest.Key(t)
	dir := configtest.New(t)
	dir.Listener.Authentication.SharedCodes = dir.Listener.Volumes[0].Name
	u := dir.AddUser("ada", "", key.PublicKey())
	u.Methods = []string{"PublicKey,TOTP"}
	u.TOTP = &config.TOTP{Secret: phone.Secret(), Digits: phone.Digits(), Algorithm: phone.Algorithm()}
	s := load(t, dir)
	now := time.Now().Add(time.Hour)
	pod := func() *Login {
		a := New(func() *snapshot.Snapshot { return s })
		l := a.NewLogin(t.Context(), netip.MustParseAddr("192.0.2.1"), anyone, nobodyBarred, nil)
		ada, _ := s.Lookup("ada")
		if _, err := l.publicKeyProven(named("ada"), key.PublicKey(), nil, ""); err == nil {
			t.Fatal("a key is enough")
		}
		if l.done == nil || ada.UID != l.done.UID {
			t.Fatal("the key is not accepted")
		}
		return l
	}
	here, there := pod(), pod()
	code := phone.Code(totp.Step(now))
	if _, reason, _ := there.checkCode("ada", code, now); reason != "" {
		t.Fatal(reason)
	}
	for range wrongCodes - 1 {
		if _, reason, _ := here.checkCode("ada", "x", now); reason != event.WrongCode {
			t.Fatal(reason)
		}
	}
	if _, reason, _ := here.checkCode("ada", code, now); reason != event.CodeReused {
		t.Fatal(reason)
	}
	if _, reason, _ := here.checkCode("ada", "x", now); reason != event.WrongCode {
		t.Fatal(reason)
	}
	if _, reason, _ := here.checkCode("ada", "x", now); reason != event.CodeTriesExceeded {
		t.Errorf("after a replay there are more guesses: %q", reason)
	}
	later := now.Add(wrongCodes * wrongCodeReturns)
	if _, reason, _ := here.checkCode("ada", phone.Code(totp.Step(later)), later); reason != "" {
		t.Errorf("a code of its own: %q", reason)
	}
}

// named is a connection that provides a login name only.
type named string

func (n named) User() string          { return string(n) }
func (n named) SessionID() []byte     { return nil }
func (n named) ClientVersion() []byte { return nil }
func (n named) ServerVersion() []byte { return nil }
func (n named) RemoteAddr() net.Addr  { return nil }
func (n named) LocalAddr() net.Addr   { return nil }
