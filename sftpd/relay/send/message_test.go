package send

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	neturl "net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/delivery"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

const event = `{"specversion":"1.0","id":"01JE","source":"https://sftp-operator/apis/sftp-operator.io/v1alpha1/namespaces/ns/sftplisteners/partners",` +
	`"type":"io.sftp-operator.file.published.v1","subject":"ns/acme/in/\"ä% b.csv","time":"2026-12-01T12:00:00.5Z","datacontenttype":"application/json",` +
	`"partitionkey":"ns/acme","sequence":"00000000000000000042","authtype":"app_user","authid":"ns/acme",` +
	`"data":{"listener":"ns/partners","user":"ns/acme","path":"/in/\"ä% b.csv","size":7}}`

// receiver decodes with the CloudEvents SDK, and returns what it received.
func receiver(t *testing.T, check func(*http.Request)) (url string, got chan cloudevents.Event) {
	t.Helper()
	got = make(chan cloudevents.Event, 10)
	p, err := cloudevents.NewHTTP()
	if err != nil {
		t.Fatal(err)
	}
	h, err := cloudevents.NewHTTPReceiveHandler(t.Context(), p, func(_ context.Context, e cloudevents.Event) error {
		got <- e
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		check(r)
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, got
}

// The SDK, which is not ours, reads the same event from both formats, and finds it valid.
func TestFormats(t *testing.T) {
	want := cloudevents.NewEvent()
	if err := json.Unmarshal([]byte(event), &want); err != nil {
		t.Fatal(err)
	}
	for format, contentType := range map[delivery.Format]string{
		delivery.FormatStructured: events.ContentType + "; charset=utf-8", delivery.FormatBinary: "application/json",
	} {
		url, got := receiver(t, func(r *http.Request) {
			if r.Method != http.MethodPost || r.Header.Get("Content-Type") != contentType || r.Header.Get("Authorization") != "Bearer hunter2-token" {
				t.Errorf("%s %v", r.Method, r.Header)
			}
		})
		s := sink(url)
		s.Format = format
		if r := newSender(t, s).Send(t.Context(), []byte(event), time.Now()); r.Status/100 != 2 {
			t.Fatalf("%s: %+v", format, r)
		}
		e := <-got
		if format == delivery.FormatBinary {
			// Version 2.16 of the SDK leaves the values of headers encoded.
			subject, err := neturl.PathUnescape(e.Subject())
			if err != nil {
				t.Fatal(err)
			}
			e.SetSubject(subject)
		}
		if err := e.Validate(); err != nil {
			t.Errorf("%s: %v", format, err)
		}
		if !reflect.DeepEqual(e.Context.GetExtensions(), want.Context.GetExtensions()) || e.Subject() != want.Subject() || e.ID() != "01JE" ||
			!e.Time().Equal(want.Time()) || e.Source() != want.Source() || e.Type() != want.Type() || string(e.Data()) != string(want.Data()) {
			t.Errorf("%s:\n%s\nwant\n%s", format, e, want)
		}
	}
}

func TestSignature(t *testing.T) {
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	for secret, key := range map[string]string{
		"plain":    "plain",
		"hunter22": "hunter22", // which is base64 as well
		"whsec_" + base64.StdEncoding.EncodeToString([]byte("raw \x00 bytes")): "raw \x00 bytes",
		"whsec_%": "whsec_%",
	} {
		h := http.Header{}
		sign(h, secretOf(secret), "01JE", []byte("body"), now)
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte("01JE.1796126400.body"))
		want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		if h.Get("webhook-signature") != want || h.Get("webhook-id") != "01JE" || h.Get("webhook-timestamp") != "1796126400" {
			t.Errorf("%q: %v, want %s", secret, h, want)
		}
	}
}

func TestMessagesThatAreNone(t *testing.T) {
	for _, text := range []string{
		"", "{", `[]`, `{"specversion":"1.0"}`, `{"id":""}`, `{"id":"1","Bad Name":"x"}`, `{"id":"1","a{":"x"}`, `{"id":"1","é":"x"}`, `{"id":"1","a-b":"x"}`, `{"id":"1","":"x"}`, `{"id":"1","a":{"b":1}}`, `{"id":"1","a":null}`, `{"id":7}x`,
	} {
		if m, err := Encode([]byte(text), delivery.FormatBinary); err == nil {
			t.Errorf("%s: %+v", text, m)
		}
	}
	for _, text := range []string{"", `{"id":""}`, `{"id":7}`} {
		if m, err := Encode([]byte(text), delivery.FormatStructured); err == nil {
			t.Errorf("%s: %+v", text, m)
		}
	}
}

// In the binary format, each attribute is a header, as in the HTTP binding.
func TestHeadersOfAnEvent(t *testing.T) {
	m, err := Encode([]byte(`{"id":"1 2","count":7,"final":true,"subject":"a b~","datacontenttype":"text/plain","data":"x"}`), delivery.FormatBinary)
	if err != nil {
		t.Fatal(err)
	}
	want := http.Header{
		"Ce-Id": {"1%202"}, "Ce-Count": {"7"}, "Ce-Final": {"true"}, "Ce-Subject": {"a%20b~"}, "Content-Type": {"text/plain"},
	}
	if !reflect.DeepEqual(m.Header, want) || m.ID != "1 2" {
		t.Errorf("%q of %q, want %q", m.Header, m.ID, want)
	}
}

// A request has the relay's name, the token and the signature of its sink, and only those.
func TestRequest(t *testing.T) {
	for name, tc := range map[string]struct{ bearer, hmac string }{
		"both": {"token", "secret"}, "a token": {"token", ""}, "a signature": {"", "s"}, "nothing": {},
	} {
		url, got := receiver(t, func(r *http.Request) {
			if r.UserAgent() != "sftp-operator-relay/test" {
				t.Errorf("%s: from %q", name, r.UserAgent())
			}
			if signed := r.Header.Get("Webhook-Signature") != "" && r.Header.Get("Webhook-Id") == "01JE" && r.Header.Get("Webhook-Timestamp") != ""; signed != (tc.hmac != "") {
				t.Errorf("%s: %v", name, r.Header)
			}
			if has := r.Header.Get("Authorization") != ""; has != (tc.bearer != "") {
				t.Errorf("%s: %v", name, r.Header)
			}
		})
		s := sink(url)
		s.Bearer, s.HMAC = tc.bearer, tc.hmac
		if r := newSender(t, s).Send(t.Context(), []byte(event), time.Now()); r.Status/100 != 2 {
			t.Fatalf("%s: %+v", name, r)
		}
		<-got
	}
	if r := newSender(t, sink("http://127.0.0.1:1")).Send(t.Context(), []byte("{"), time.Now()); r.Status != http.StatusBadRequest {
		t.Errorf("what is not an event: %+v", r)
	}
	for name, change := range map[string]func(*delivery.Sink){
		"networks":    func(s *delivery.Sink) { s.Networks = []string{"x"} },
		"CA":          func(s *delivery.Sink) { s.CABundle = "x" },
		"certificate": func(s *delivery.Sink) { s.ClientCertificate = "x" },
	} {
		s := sink("http://127.0.0.1:1")
		change(&s)
		if _, err := New(s, Options{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// An expired certificate is distinguished from one that no authority has signed.
func TestFailures(t *testing.T) {
	for err, want := range map[error]string{
		x509.CertificateInvalidError{Reason: x509.Expired}:              "it has expired or is not valid yet",
		x509.CertificateInvalidError{Reason: x509.TooManyIntermediates}: "its chain breaks a rule",
		context.DeadlineExceeded:                                        "no answer within 7s",
		context.Canceled:                                                "the relay is shutting down",
		io.ErrUnexpectedEOF:                                             "the receiver closed the connection without an answer",
	} {
		if got := describe(&neturl.Error{Op: "Post", URL: "http://secret", Err: err}, 7*time.Second); !strings.Contains(got, want) || strings.Contains(got, "secret") {
			t.Errorf("%T: %q, want %q", err, got, want)
		}
	}
}

// Whatever an event contains, its headers contain no character that could end one, and the body is the event's data.
func FuzzBinary(f *testing.F) {
	f.Add([]byte(event))
	f.Add([]byte(`{"id":"a\r\nSet-Cookie: x","n":1,"b":true}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := Encode(text, delivery.FormatBinary)
		if err != nil {
			return
		}
		for name, values := range m.Header {
			for _, v := range values {
				if strings.ContainsAny(name+v, "\r\n\x00") && name != "Content-Type" {
					t.Errorf("%q: %q", name, v)
				}
			}
		}
	})
}

// authority returns the certificate and key of a client called relay, and its CA.
func authority(t *testing.T) (certificate, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "relay"}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(parsed)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})), pool
}
