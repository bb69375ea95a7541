package handshake

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"io"
	"math"
	"runtime"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
)

// TestStandardLimits pins the limits that apply to unauthenticated peers.
func TestStandardLimits(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for n, want := range map[int]int{1: 1, 2: 1, 4: 2, 5: 2} {
		runtime.GOMAXPROCS(n)
		if l := StandardLimits(); l.Bytes != 131072 || l.Exchanges != 2 || l.AlgorithmsTimeout != time.Second || cap(l.Slots) != want {
			t.Errorf("%d processors: %+v, %d slots", n, l, cap(l.Slots))
		}
	}
}

// TestSlots: a key exchange in a finite-field group takes one slot for all of its computations; other uses of randomness take
// none.
func TestSlots(t *testing.T) {
	h, _ := scripted(t, "", exchanging)
	read := func(h *Handshake, n int) error {
		p := make([]byte, n)
		got, err := group{h}.Read(p)
		if err == nil && got != n || err != nil && got != 0 {
			t.Errorf("%d bytes of %d, %v", got, n, err)
		}
		return err
	}
	if err := read(h, 255); err != nil || len(h.limits.Slots) != 0 {
		t.Errorf("a short read: %v, %d slots", err, len(h.limits.Slots))
	}
	for range 2 {
		if err := read(h, 256); err != nil || len(h.limits.Slots) != 1 {
			t.Errorf("an exponent: %v, %d slots", err, len(h.limits.Slots))
		}
	}
	other, _ := scripted(t, "", exchanging)
	other.limits.Slots = h.limits.Slots
	other.cancel()
	if err := read(other, 256); !errors.Is(err, errLoginOver) || other.excess.Load() {
		t.Errorf("no slot: %v", err)
	}
	h.releaseSlot()
	h.releaseSlot()
	if len(h.limits.Slots) != 0 {
		t.Error("the slot was not given back")
	}
	h.exchanges.Store(1)
	if err := read(h, 256); !errors.Is(err, errTooManyExchanges) || !h.excess.Load() {
		t.Errorf("a second exchange in a group: %v", err)
	}
	h.reach(loggedIn)
	if err := read(h, 256); err != nil || len(h.limits.Slots) != 0 {
		t.Errorf("after the login: %v, %d slots", err, len(h.limits.Slots))
	}
}

// session is a client and a server after a login that succeeded or failed.
type session struct {
	*Handshake
	connection Connection
	failure    *Failure
	client     ssh.Conn
	clientErr  error
}

// logIn lets a client log in.
func logIn(t *testing.T, limit time.Duration, slots Slots, client *ssh.ClientConfig, server *ssh.ServerConfig, keys ...ssh.MultiAlgorithmSigner) session {
	t.Helper()
	here, there := loopback(t)
	limits := StandardLimits()
	limits.Slots = slots
	h := New(t.Context(), here, Identification(""), time.Now().Add(limit), limits)
	client.HostKeyCallback = ssh.InsecureIgnoreHostKey()
	s := session{Handshake: h}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var channels <-chan ssh.NewChannel
		var requests <-chan *ssh.Request
		if s.client, channels, requests, s.clientErr = ssh.NewClientConn(there, "", client); s.clientErr != nil {
			_ = there.Close()
			return
		}
		go ssh.DiscardRequests(requests)
		go func() {
			for c := range channels {
				_ = c.Reject(ssh.Prohibited, "")
			}
		}()
	}()
	h.Hello()
	s.connection, s.failure = h.LogIn(server, Config{HostKeys: keys, RekeyAfter: time.Hour})
	if s.failure != nil {
		_ = here.Close()
	}
	<-done
	return s
}

func multi(t *testing.T, s ssh.Signer) ssh.MultiAlgorithmSigner {
	t.Helper()
	m, ok := s.(ssh.MultiAlgorithmSigner)
	if !ok {
		t.Fatalf("%T", s)
	}
	return m
}

// TestLogIn: a client that logs in sees the server's version, keys, channels and requests, and the server's callbacks are
// called in the documented state.
func TestLogIn(t *testing.T) {
	first, _ := configtest.Key(t)
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := []ssh.MultiAlgorithmSigner{multi(t, first), multi(t, configtest.Signer(t, private))}
	before := false
	server := &ssh.ServerConfig{
		PreAuthConnCallback: func(ssh.ServerPreAuthConn) { before = true },
		PasswordCallback:    func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) { return &ssh.Permissions{}, nil },
	}
	full := make(Slots, 1)
	full <- struct{}{} // curves need none
	s := logIn(t, time.Minute, full, &ssh.ClientConfig{
		User: "ada", Auth: []ssh.AuthMethod{ssh.Password("x")}, HostKeyAlgorithms: []string{ssh.KeyAlgoECDSA256},
	}, server, keys...)
	if s.failure != nil || s.clientErr != nil {
		t.Fatal(s.failure, s.clientErr)
	}
	if v := string(s.client.ServerVersion()); v != "SSH-2.0-sftpd" || !before {
		t.Errorf("version %q, PreAuthConnCallback called: %v", v, before)
	}
	select {
	case <-s.asked:
	default:
		t.Error("the client has not asked for the service")
	}
	if !s.is(loggedIn) || s.Context().Err() == nil {
		t.Errorf("state %d, %v", s.state.Load(), s.Context().Err())
	}
	go func() {
		for c := range s.connection.Channels {
			_ = c.Reject(ssh.Prohibited, "seen")
		}
	}()
	go func() {
		for r := range s.connection.Requests {
			_ = r.Reply(true, []byte("seen"))
		}
	}()
	if ok, answer, err := s.client.SendRequest("test", true, nil); !ok || string(answer) != "seen" || err != nil {
		t.Errorf("a request: %v, %q, %v", ok, answer, err)
	}
	var refused *ssh.OpenChannelError
	if _, _, err := s.client.OpenChannel("test", nil); !errors.As(err, &refused) || refused.Message != "seen" {
		t.Errorf("a channel: %v", err)
	}
	testRekey(t, s)
}

// testRekey: keys are exchanged again when they are due, and the exchange is requested once.
func testRekey(t *testing.T, s session) {
	t.Helper()
	if left := s.UntilRekey(); left > time.Hour || left < 59*time.Minute {
		t.Errorf("%s until keys are to be exchanged", left)
	}
	exchanges := s.exchanges.Load()
	s.rekeying.last.Add(-int64(59 * time.Minute))
	if left := s.UntilRekey(); left > time.Minute || left < 0 {
		t.Errorf("%s until keys are to be exchanged, want less than a minute", left)
	}
	s.RekeyIfDue()
	if _, _, err := s.client.SendRequest("test", true, nil); err != nil || s.exchanges.Load() != exchanges {
		t.Errorf("%v, %d exchanges before it is time", err, s.exchanges.Load()-exchanges)
	}
	s.rekeying.last.Add(-int64(2 * time.Minute))
	s.RekeyIfDue()
	for end := time.Now().Add(time.Minute); s.exchanges.Load() == exchanges; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no exchange of keys although it is time")
		}
	}
	if left := s.UntilRekey(); left < 58*time.Minute {
		t.Errorf("%s until the next exchange", left)
	}
}

// TestRekeyIsAskedForOnce: while a client delays its answer, the request is not repeated; without a time limit it is never
// sent.
func TestRekeyIsAskedForOnce(t *testing.T) {
	ask := make(chan struct{}, 10)
	h := &Handshake{}
	h.rekeying.after, h.rekeying.ask = time.Hour, ask
	h.rekeying.last.Store(int64(time.Since(started) - 2*time.Hour))
	h.RekeyIfDue()
	h.RekeyIfDue()
	if len(ask) != 1 {
		t.Errorf("asked %d times", len(ask))
	}
	h.rekeying.ask = make(chan struct{}) // no one takes it
	h.rekeying.last.Store(int64(time.Since(started) - 2*time.Hour))
	h.RekeyIfDue()
	never := &Handshake{}
	never.rekeying.ask = ask
	if never.RekeyIfDue(); len(ask) != 1 || never.UntilRekey() != math.MaxInt64 {
		t.Errorf("asked %d times, %s until the next one", len(ask), never.UntilRekey())
	}
}

// TestGroupNeedsASlot: a client whose key exchange uses a finite-field group waits for a slot, and returns it even if it
// disconnects.
func TestGroupNeedsASlot(t *testing.T) {
	key, _ := configtest.Key(t)
	client := func() *ssh.ClientConfig {
		c := &ssh.ClientConfig{User: "ada", Auth: []ssh.AuthMethod{ssh.Password("x")}}
		c.KeyExchanges = []string{ssh.KeyExchangeDH14SHA256}
		return c
	}
	server := func() *ssh.ServerConfig {
		c := &ssh.ServerConfig{PasswordCallback: func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) { return &ssh.Permissions{}, nil }}
		c.KeyExchanges = []string{ssh.KeyExchangeDH14SHA256}
		return c
	}
	slots := make(Slots, 1)
	if s := logIn(t, time.Minute, slots, client(), server(), multi(t, key)); s.failure != nil || len(slots) != 0 {
		t.Errorf("with a slot: %v, %d are taken", s.failure, len(slots))
	}
	slots <- struct{}{}
	if s := logIn(t, time.Second/2, slots, client(), server(), multi(t, key)); s.failure == nil || s.failure.Outcome != TimedOut {
		t.Errorf("without a slot: %+v", s.failure)
	}
	<-slots
	h, _ := scripted(t, "", exchanging)
	h.limits.Slots = slots
	if err := h.takeSlot(); err != nil {
		t.Fatal(err)
	}
	if _, failure := h.LogIn(&ssh.ServerConfig{NoClientAuth: true}, Config{HostKeys: []ssh.MultiAlgorithmSigner{multi(t, key)}}); failure == nil || len(slots) != 0 {
		t.Errorf("who left: %v, %d slots are taken", failure, len(slots))
	}
}

// broken is a host key that cannot sign.
type brokenKey struct{ ssh.MultiAlgorithmSigner }

var errBrokenKey = errors.New("broken")

func (brokenKey) Sign(io.Reader, []byte) (*ssh.Signature, error) { return nil, errBrokenKey }

func (brokenKey) SignWithAlgorithm(io.Reader, []byte, string) (*ssh.Signature, error) {
	return nil, errBrokenKey
}

func TestBrokenHostKey(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	k := hostKey{brokenKey{}, &Handshake{ctx: ctx, limits: Limits{Exchanges: 9}}}
	if _, err := k.Sign(nil, nil); !errors.Is(err, errBrokenKey) {
		t.Error(err)
	}
	if _, err := k.SignWithAlgorithm(nil, nil, ""); !errors.Is(err, errBrokenKey) {
		t.Error(err)
	}
}

// TestAuthenticating: a client is in the authenticating state from the moment it requests the service.
func TestAuthenticating(t *testing.T) {
	key, _ := configtest.Key(t)
	here, there := loopback(t)
	go func() {
		_, _, _, _ = ssh.NewClientConn(there, "", &ssh.ClientConfig{User: "ada", Auth: []ssh.AuthMethod{ssh.Password("x")}, HostKeyCallback: ssh.InsecureIgnoreHostKey()}) //nolint:dogsled // it fails
	}()
	h := New(t.Context(), here, Identification(""), time.Now().Add(time.Minute), StandardLimits())
	at := exchanging
	server := &ssh.ServerConfig{MaxAuthTries: 1, PasswordCallback: func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) {
		at = state(h.state.Load())
		return nil, errBrokenKey
	}}
	if _, failure := h.LogIn(server, Config{HostKeys: []ssh.MultiAlgorithmSigner{multi(t, key)}}); failure == nil || at != authenticating {
		t.Errorf("%v, state %d", failure, at)
	}
}
