// Package totp handles the secrets of authenticator apps and the codes that these show (RFC 6238).
package totp

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
)

// Period is how long a code is shown. Not all apps support any other value.
const Period = 30 * time.Second

// Limits of a secret, in bytes. RFC 4226 section 4, R6, requires 128 bits; an HMAC gains nothing beyond its block size, 128
// bytes for SHA-512.
const (
	MinSecret = 16
	MaxSecret = 128
)

// newSecret is the length of a new secret: the 160 bits that RFC 4226 recommends.
const newSecret = 20

// maxText limits what is parsed, in bytes.
const maxText = 2048

// Key is a secret with the parameters of its codes. Its zero value has no codes.
type Key struct {
	secret    string // base32, without padding
	digits    otp.Digits
	algorithm otp.Algorithm
}

// algorithms by their names in otpauth URIs.
var algorithms = map[string]otp.Algorithm{"SHA1": otp.AlgorithmSHA1, "SHA256": otp.AlgorithmSHA256, "SHA512": otp.AlgorithmSHA512}

var encoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// Generate creates a random key of the kind that every app accepts: 160 bits, six digits, SHA-1. HMAC-SHA-1 is not affected by
// the collisions of SHA-1 (RFC 6194 section 3.3).
func Generate() Key {
	secret := make([]byte, newSecret)
	_, _ = rand.Read(secret) // never fails
	return Key{encoding.EncodeToString(secret), otp.DigitsSix, otp.AlgorithmSHA1}
}

// New returns a key with a secret in base32, 6 or 8 digits, and SHA1, SHA256 or SHA512. In the secret, case, spaces, '-' and
// padding are ignored, because apps show it in groups. No error contains any part of the secret.
func New(secret string, digits int, algorithm string) (Key, error) {
	secret = strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(strings.TrimSpace(secret)))
	secret = strings.TrimRight(secret, "=")
	raw, err := encoding.DecodeString(secret)
	a, known := algorithms[algorithm]
	switch {
	case secret == "":
		return Key{}, errors.New("the secret is empty")
	case err != nil:
		return Key{}, errors.New("the secret is not base32 (the letters A to Z and the digits 2 to 7)")
	case len(raw) < MinSecret:
		return Key{}, fmt.Errorf("the secret has %d bits, but at least %d are required (RFC 4226 section 4); make a new one", 8*len(raw), 8*MinSecret)
	case len(raw) > MaxSecret:
		return Key{}, fmt.Errorf("the secret has %d bytes, but at most %d are allowed", len(raw), MaxSecret)
	case digits != int(otp.DigitsSix) && digits != int(otp.DigitsEight):
		return Key{}, errors.New("codes have 6 or 8 digits; no other number is possible")
	case !known:
		return Key{}, errors.New("the algorithm is not SHA1, SHA256 or SHA512")
	}
	return Key{encoding.EncodeToString(raw), otp.Digits(digits), a}, nil
}

// Parse reads a secret in base32, or the otpauth URI of an app's QR code
// (https://github.com/google/google-authenticator/wiki/Key-Uri-Format).
func Parse(text string) (Key, error) {
	text = strings.TrimSpace(text)
	if len(text) > maxText {
		return Key{}, fmt.Errorf("the secret has %d bytes, but at most %d are allowed", len(text), maxText)
	}
	if !strings.HasPrefix(strings.ToLower(text), "otpauth:") {
		return New(text, int(otp.DigitsSix), "SHA1")
	}
	u, err := url.Parse(text)
	if err != nil {
		return Key{}, errors.New("the otpauth URI cannot be parsed") // the error would contain all of it
	}
	parameters, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Key{}, errors.New("the parameters of the otpauth URI cannot be parsed")
	}
	if !strings.EqualFold(u.Host, "totp") {
		return Key{}, errors.New("the otpauth URI is not of the type totp")
	}
	for _, values := range parameters {
		if len(values) > 1 {
			return Key{}, errors.New("the otpauth URI contains a parameter twice")
		}
	}
	if p := parameters.Get("period"); p != "" && p != "30" {
		return Key{}, errors.New("the otpauth URI has a period other than 30 seconds")
	}
	digits := int(otp.DigitsSix)
	if d := parameters.Get("digits"); d != "" {
		if digits, err = strconv.Atoi(d); err != nil {
			return Key{}, errors.New("the parameter digits of the otpauth URI is not a number")
		}
	}
	algorithm := "SHA1"
	if a := parameters.Get("algorithm"); a != "" {
		algorithm = strings.ToUpper(strings.ReplaceAll(a, "-", ""))
	}
	return New(parameters.Get("secret"), digits, algorithm)
}

// String keeps the secret out of any code that prints a key.
func (k Key) String() string { return "TOTP key" }

// Secret returns the secret in base32, without padding.
func (k Key) Secret() string { return k.secret }

// Digits returns the number of digits of a code.
func (k Key) Digits() int { return k.digits.Length() }

// Algorithm returns SHA1, SHA256 or SHA512.
func (k Key) Algorithm() string { return k.algorithm.String() }

// URI returns the URI for an app's QR code; the app shows the issuer and the account. A colon in either would end the label's
// first part, so it becomes a space.
func (k Key) URI(issuer, account string) string {
	plain := strings.NewReplacer(":", " ")
	issuer, account = plain.Replace(issuer), plain.Replace(account)
	// Not url.Values: apps show its '+' literally instead of as a space.
	return fmt.Sprintf("otpauth://totp/%s:%s?secret=%s&issuer=%s&algorithm=%s&digits=%d&period=%d",
		url.PathEscape(issuer), url.PathEscape(account), k.secret, strings.ReplaceAll(url.QueryEscape(issuer), "+", "%20"),
		k.Algorithm(), k.Digits(), int(Period.Seconds()))
}

// Step returns the number of the period that contains a time, since the epoch (RFC 6238 section 4.2).
func Step(t time.Time) int64 { return t.Unix() / int64(Period.Seconds()) }

// Code returns the code of a step.
func (k Key) Code(step int64) string {
	// The secret was decoded before, so no error is possible.
	code, _ := hotp.GenerateCodeCustom(k.secret, uint64(max(step, 0)), hotp.ValidateOpts{Digits: k.digits, Algorithm: k.algorithm})
	return code
}

// Find looks for a code among those of step-reach to step+reach, nearest first, and returns how many steps it is off. It takes
// the same time wherever the code is found, and if it is not found. Spaces in the code are ignored, because apps show it in
// groups.
func (k Key) Find(code string, step int64, reach int) (offset int, found bool) {
	given := []byte(strings.NewReplacer(" ", "", "\t", "").Replace(strings.TrimSpace(code)))
	hit := 0
	look := func(at int) {
		// No early exit: a second match keeps the first, which is nearer.
		same := subtle.ConstantTimeCompare(given, []byte(k.Code(step+int64(at)))) &^ hit
		offset = subtle.ConstantTimeSelect(same, at, offset)
		hit |= same
	}
	look(0)
	for distance := 1; distance <= reach; distance++ {
		look(-distance)
		look(distance)
	}
	return offset, hit == 1 && k.secret != ""
}
