// Command registry signs, publishes and verifies what hack/release has built:
//
//	registry key FILE                    make a key: FILE is private, FILE.pub public
//	registry sign DIST FILE              sign a release with a key
//	registry sign DIST keyless           sign it as the identity of the token in SIGSTORE_ID_TOKEN
//	registry push DIST [REGISTRY]        push images, chart, bills and signatures
//	registry serve ADDRESS               run an empty registry on loopback, to try a release
//	registry verify FILE.pub DIST        verify the files of a release
//	registry verify FILE.pub REFERENCE   verify an image or a chart in a registry, REPOSITORY@sha256:…
//
// Credentials of registries are those of docker login.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/sftp-operator/sftp-operator/hack/release/registry/check"
	"github.com/sftp-operator/sftp-operator/hack/release/registry/publish"
	"github.com/sftp-operator/sftp-operator/hack/release/registry/signing"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "registry:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("usage: registry key FILE | sign DIST FILE|keyless | push DIST [REGISTRY] | serve ADDRESS | verify FILE.pub DIST|REFERENCE")

func run(ctx context.Context, arguments []string) error {
	if len(arguments) < 2 {
		return errUsage
	}
	command, first, second := arguments[0], arguments[1], ""
	if len(arguments) > 2 {
		second = arguments[2]
	}
	switch {
	case command == "key" && len(arguments) == 2:
		key, err := signing.NewKey()
		if err != nil {
			return err
		}
		return key.Write(first)
	case command == "sign" && len(arguments) == 3:
		signer, err := signerOf(second)
		if err != nil {
			return err
		}
		return publish.Sign(first, signer)
	case command == "push" && len(arguments) <= 3:
		return push(ctx, first, second)
	case command == "serve" && len(arguments) == 2:
		return serve(ctx, first)
	case command == "verify" && len(arguments) == 3:
		return verify(ctx, first, second)
	}
	return errUsage
}

func signerOf(key string) (*signing.Signer, error) {
	if key == "keyless" {
		return signing.Keyless(os.Getenv("SIGSTORE_ID_TOKEN"))
	}
	read, err := signing.ReadKey(key)
	if err != nil {
		return nil, err
	}
	return signing.WithKey(read), nil
}

func push(ctx context.Context, dist, registry string) error {
	pushed, err := publish.Push(ctx, dist, registry, remote.WithAuthFromKeychain(authn.DefaultKeychain))
	for _, reference := range pushed {
		fmt.Println(reference)
	}
	return err
}

func verify(ctx context.Context, public, what string) error {
	key, err := signing.ReadVerifier(public)
	if err != nil {
		return err
	}
	if !strings.Contains(what, "@") {
		return check.Files(what, key)
	}
	reference, err := name.NewDigest(what)
	if err != nil {
		return err
	}
	return check.Registry(reference, key, remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithContext(ctx))
}
