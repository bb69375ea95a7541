package send

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Headers of a signature, as in Standard Webhooks 1.0.
const (
	headerID        = "Webhook-Id"
	headerTimestamp = "Webhook-Timestamp"
	headerSignature = "Webhook-Signature"
)

// secretPrefix marks a secret in base64, as in Standard Webhooks. Without it, the secret's bytes are used as they are.
const secretPrefix = "whsec_"

// sign adds the headers of a signature: HMAC-SHA256 over the id, the time of the attempt and the body.
func sign(h http.Header, secret []byte, id string, body []byte, now time.Time) {
	at := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	_, _ = mac.Write([]byte(id + "." + at + ".")) // a hash never fails
	_, _ = mac.Write(body)
	h[headerID], h[headerTimestamp] = []string{id}, []string{at}
	h[headerSignature] = []string{"v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))}
}

// secretOf returns the bytes of a secret.
func secretOf(s string) []byte {
	if encoded, ok := strings.CutPrefix(s, secretPrefix); ok {
		if raw, err := base64.StdEncoding.DecodeString(encoded); err == nil {
			return raw
		}
	}
	return []byte(s)
}
