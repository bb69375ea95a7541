package main

import (
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/hack/release/registry/signing"
)

// subject is what a change affects, and therefore what is verified.
type subject int

const (
	ofImage subject = iota
	ofChart
	ofImageAndChart
	ofFiles
)

// tampering is a change to a release after it was signed. docs/verifying.md lists them.
type tampering struct {
	title   string
	subject subject
	signed  func(t *testing.T, p *published) // changes the release before it is pushed
	pushed  func(t *testing.T, p *published) // changes what is in the registry
	want    string                           // in the error of "registry verify"
	// commands are the page's commands that refuse it; the others for the same kind of subject accept it.
	commands []string
}

// The commands of the page, without the flags that name the signer.
const (
	verifyImage  = `cosign verify "$IMAGE"`
	verifyOrigin = `cosign verify-attestation --type slsaprovenance1 "$IMAGE"`
	verifyBill   = `cosign verify-attestation --type cyclonedx "$PLATFORM_IMAGE"`
	verifyChart  = `cosign verify "$CHART"`
	verifyList   = `cosign verify-blob --bundle SHA256SUMS.sigstore.json SHA256SUMS`
	verifySums   = `sha256sum --check --ignore-missing SHA256SUMS`
)

var (
	imageCommands    = []string{verifyImage, verifyOrigin, verifyBill}
	registryCommands = append([]string{verifyChart}, imageCommands...)
	fileCommands     = []string{verifyList, verifySums}
)

var tamperings = []tampering{
	{
		title: "another image", signed: func(t *testing.T, p *published) { replaceSubject(t, p.layout("image")) },
		want: "no statement", commands: imageCommands,
	},
	{
		title: "another image, with the statements about the released one attached to it",
		signed: func(t *testing.T, p *published) {
			replaceSubject(t, p.layout("image"))
			moveStatements(t, p.layout("image"))
		},
		want: "no statement", commands: imageCommands,
	},
	{
		title: "the tag moved to another image", pushed: moveTag,
		want: "no statement", commands: imageCommands,
	},
	{
		title: "another chart", subject: ofChart, signed: func(t *testing.T, p *published) { replaceSubject(t, p.layout("chart")) },
		want: "no statement", commands: []string{verifyChart},
	},
	{
		title: "image and chart signed with another key", subject: ofImageAndChart,
		signed: func(t *testing.T, p *published) { p.key = newKey(t) },
		want:   "no statement", commands: registryCommands,
	},
	{
		title:  "no signed statements about the image",
		signed: func(t *testing.T, p *published) { dropStatements(t, p.layout("image"), "") },
		want:   "no statement https://sigstore.dev", commands: imageCommands,
	},
	{
		title: "no signed statements about the chart", subject: ofChart,
		signed: func(t *testing.T, p *published) { dropStatements(t, p.layout("chart"), "") },
		want:   "no statement https://sigstore.dev", commands: []string{verifyChart},
	},
	{
		title:  "no signature of the image, but its provenance",
		signed: func(t *testing.T, p *published) { dropStatements(t, p.layout("image"), signing.Signature) },
		want:   "no statement https://sigstore.dev",
	},
	{
		title:  "no provenance of the image",
		signed: func(t *testing.T, p *published) { dropStatements(t, p.layout("image"), signing.Provenance) },
		want:   "no statement https://slsa.dev", commands: []string{verifyOrigin},
	},
	{
		title:  "no signed bill of materials",
		signed: func(t *testing.T, p *published) { dropStatements(t, p.layout("image"), signing.SBOM) },
		want:   "no statement https://cyclonedx.org", commands: []string{verifyBill},
	},
	{
		title: "signature, provenance and bill of materials changed, with the old signatures", subject: ofImageAndChart,
		signed: func(t *testing.T, p *published) { editBundles(t, p.layout("image")); editBundles(t, p.layout("chart")) },
		want:   "no statement", commands: registryCommands,
	},
	{
		title:  "another bill of materials next to the signed one",
		signed: func(t *testing.T, p *published) { editBills(t, p.layout("image")) },
		want:   "not the signed one",
	},
	{
		title: "other bytes in the storage of the registry", subject: ofImageAndChart, pushed: editStorage,
		commands: registryCommands,
	},
	{
		title: "a manifest", subject: ofFiles, signed: func(t *testing.T, p *published) { edit(t, p.file("install.yaml")) },
		want: "install.yaml: its digest", commands: []string{verifySums},
	},
	{
		title: "the plug-in", subject: ofFiles, signed: func(t *testing.T, p *published) { edit(t, p.plugin(t)) },
		want: "kubectl-sftp", commands: []string{verifySums},
	},
	{
		title: "a digit in `SHA256SUMS`", subject: ofFiles,
		signed: func(t *testing.T, p *published) {
			p.editList(t, func(list string) string { return strings.Map(nextDigit, list[:1]) + list[1:] })
		},
		want: "SHA256SUMS", commands: fileCommands,
	},
	{
		title: "a file, and its line in `SHA256SUMS`", subject: ofFiles,
		signed: func(t *testing.T, p *published) {
			old := sumOf(t, p.file("install.yaml"))
			edit(t, p.file("install.yaml"))
			p.editList(t, func(list string) string {
				return strings.Replace(list, old, sumOf(t, p.file("install.yaml")), 1)
			})
		},
		want: "SHA256SUMS", commands: []string{verifyList},
	},
	{
		title: "a line removed from `SHA256SUMS`", subject: ofFiles,
		signed: func(t *testing.T, p *published) {
			line := sumOf(t, p.file("install.yaml")) + "  install.yaml\n"
			p.editList(t, func(list string) string { return strings.Replace(list, line, "", 1) })
		},
		want: "SHA256SUMS", commands: []string{verifyList},
	},
	{
		title: "the signature of `SHA256SUMS`", subject: ofFiles,
		signed: func(t *testing.T, p *published) { p.editSignature(t) },
		want:   "SHA256SUMS", commands: []string{verifyList},
	},
	{
		title: "`SHA256SUMS` signed with another key", subject: ofFiles,
		signed: func(t *testing.T, p *published) { p.key = newKey(t) },
		want:   "SHA256SUMS", commands: []string{verifyList},
	},
	{
		title: "no signature of `SHA256SUMS`", subject: ofFiles,
		signed: func(t *testing.T, p *published) { remove(t, p.file("SHA256SUMS.sigstore.json")) },
		want:   "SHA256SUMS.sigstore.json", commands: []string{verifyList},
	},
	{
		title: "a file that is missing", subject: ofFiles,
		signed: func(t *testing.T, p *published) { remove(t, p.file("install.yaml")) },
		want:   "install.yaml",
	},
	{
		title: "a path outside of the release in a signed `SHA256SUMS`", subject: ofFiles,
		signed: func(t *testing.T, p *published) { p.signList(t, strings.Repeat("0", 64)+"  ../../etc/passwd\n") },
		want:   "outside", commands: []string{verifySums},
	},
	{
		title: "a signed `SHA256SUMS` without digests", subject: ofFiles,
		signed: func(t *testing.T, p *published) { p.signList(t, "x  install.yaml\n") },
		want:   "its digest", commands: []string{verifySums},
	},
}
