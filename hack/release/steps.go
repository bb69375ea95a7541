package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/sftp-operator/sftp-operator/hack/image/ociarchive"
	"github.com/sftp-operator/sftp-operator/hack/image/recipe"
	"github.com/sftp-operator/sftp-operator/hack/release/archive"
	"github.com/sftp-operator/sftp-operator/hack/release/chart"
	"github.com/sftp-operator/sftp-operator/hack/release/compile"
	"github.com/sftp-operator/sftp-operator/hack/release/identity"
	"github.com/sftp-operator/sftp-operator/hack/release/krew"
	"github.com/sftp-operator/sftp-operator/hack/release/licenses"
	"github.com/sftp-operator/sftp-operator/hack/release/olm"
	"github.com/sftp-operator/sftp-operator/hack/release/provenance"
	"github.com/sftp-operator/sftp-operator/hack/release/sbom"
)

// sbomType is the media type of the bills of materials.
const sbomType = "application/vnd.cyclonedx+json"

// image builds the image for all platforms, with the bill of each attached to it.
func (b *builder) image() error {
	labels := b.Labels(identity.Name, "Operator and SFTP daemon of sftp-operator")
	var images []ociarchive.Image
	var bills [][]byte
	for _, platform := range b.images {
		programs, known, err := b.build(platform, "manager", "sftpd")
		if err != nil {
			return err
		}
		img, err := recipe.Image([]recipe.Binary{{Name: "manager", File: programs[0].File}, {Name: "sftpd", File: programs[1].File}})
		if err != nil {
			return err
		}
		img.Labels, img.Created = labels, b.Time
		for _, f := range licenseFiles(known) {
			img.Files = append(img.Files, ociarchive.File{Path: "/" + f.Name, Mode: f.Mode, Data: f.Data})
		}
		images = append(images, img)
		bill, err := sbom.Document(b.Release, identity.ImageRepository, []string{programs[0].File, programs[1].File}, known)
		if err != nil {
			return err
		}
		bills = append(bills, bill)
		if err := b.write("sbom/image_linux_"+platform.Architecture+".cdx.json", bill); err != nil {
			return err
		}
	}
	layout := ociarchive.NewLayout(filepath.Join(b.out, "image"))
	index, members := layout.Index(b.Version, labels, images...)
	for i, member := range members {
		layout.Artifact(ociarchive.Artifact{
			ArtifactType: sbomType, LayerType: sbomType, Layer: bills[i], Subject: &member,
			Annotations: map[string]string{"org.opencontainers.image.created": labels["org.opencontainers.image.created"]},
		})
		b.published = append(b.published, provenance.SHA256(identity.ImageRepository+":"+b.Version+"-"+b.images[i].Architecture, member.Digest()))
	}
	b.imageDigest = index.Digest()
	b.published = append(b.published, provenance.SHA256(identity.ImageRepository+":"+b.Version, index.Digest()))
	return layout.Close()
}

// build builds programs and finds the licenses of what they contain.
func (b *builder) build(platform compile.Platform, names ...string) ([]compile.Program, []licenses.License, error) {
	fmt.Fprintf(os.Stderr, "release: %s for %s\n", strings.Join(names, " and "), platform)
	programs, err := compile.Build(b.work, b.Version, platform, names...)
	if err != nil {
		return nil, nil, err
	}
	packages, err := compile.Packages(platform, names...)
	if err != nil {
		return nil, nil, err
	}
	known, err := licenses.Collect(packages)
	return programs, known, err
}

// licenseFiles returns the project's own license, those of its dependencies and the list of them.
func licenseFiles(known []licenses.License) []archive.File {
	files := []archive.File{{Name: "licenses/modules.csv", Mode: 0o644, Data: licenses.Table(known)}}
	if own, err := os.ReadFile("LICENSE"); err == nil {
		files = append(files, archive.File{Name: "licenses/LICENSE", Mode: 0o644, Data: own})
	}
	for _, l := range known {
		for _, f := range l.Files {
			files = append(files, archive.File{Name: "licenses/" + f.Name, Mode: f.Mode, Data: f.Data})
		}
	}
	return files
}

// plugin builds the plug-in of kubectl, an archive for each platform, and its manifest for Krew.
func (b *builder) plugin() error {
	var archives []krew.Archive
	for _, platform := range b.plugins {
		programs, known, err := b.build(platform, "kubectl-sftp")
		if err != nil {
			return err
		}
		program := programs[0]
		bill, err := sbom.Document(b.Release, program.Name, []string{program.File}, known)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(program.File)
		if err != nil {
			return err
		}
		binary := filepath.Base(program.File)
		packed, extension, err := b.pack(platform, append(licenseFiles(known), archive.File{Name: binary, Mode: 0o755, Data: data}))
		if err != nil {
			return err
		}
		base := strings.Join([]string{program.Name, b.Version, platform.OS, platform.Architecture}, "_")
		archives = append(archives, krew.Archive{Platform: platform, File: base + extension, SHA256: sumOf(packed), Binary: binary})
		if err := b.write(base+extension, packed); err != nil {
			return err
		}
		if err := b.write("sbom/"+base+".cdx.json", bill); err != nil {
			return err
		}
	}
	manifest, err := krew.Manifest(b.Release, archives)
	if err != nil {
		return err
	}
	return b.write("krew/sftp.yaml", manifest)
}

// chart packages the chart, as a file and for a registry.
func (b *builder) chart() error {
	packed, err := chart.Package("charts/"+identity.Name, b.Release, b.imageDigest)
	if err != nil {
		return err
	}
	layout := ociarchive.NewLayout(filepath.Join(b.out, "chart"))
	reference := layout.Artifact(ociarchive.Artifact{
		Tag: b.Number(), ConfigType: chart.ConfigType, Config: packed.Config, LayerType: chart.ContentType, Layer: packed.Archive,
		Annotations: b.Labels(identity.Name, "Helm chart of sftp-operator"),
	})
	b.published = append(b.published, provenance.SHA256(identity.ChartRepository+":"+b.Number(), reference.Digest()))
	if err := layout.Close(); err != nil {
		return err
	}
	if err := b.write("artifacthub-repo.yml", artifactHub); err != nil {
		return err
	}
	return b.write(identity.Name+"-"+b.Number()+".tgz", packed.Archive)
}

// manifests renders config/: the CRDs, and everything.
func (b *builder) manifests() error {
	folder := filepath.Join(b.work, "install")
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	// Without symbolic links in it: kustomize follows them before it counts the steps up.
	if folder, err = realFolder(folder); err != nil {
		return err
	}
	base, err := filepath.Rel(folder, filepath.Join(here, "config", "default"))
	if err != nil {
		return err
	}
	kustomization := fmt.Sprintf("resources:\n- %s\nimages:\n- name: %s\n  digest: %s\n", base, identity.ImageRepository, b.imageDigest)
	if err := os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte(kustomization), 0o644); err != nil {
		return err
	}
	if b.install, err = kustomize(folder); err != nil {
		return err
	}
	crds, err := kustomize("config/crd")
	if err != nil {
		return err
	}
	if err := b.write("crds.yaml", crds); err != nil {
		return err
	}
	return b.write("install.yaml", b.install)
}

func realFolder(folder string) (string, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(folder)
}

func kustomize(folder string) ([]byte, error) {
	cmd := exec.Command("hack/tools/run.sh", "kustomize", "build", folder)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("kustomize build: %w: %s", err, stderr.Bytes())
	}
	return out, nil
}

// bundle writes the bundle of the Operator Lifecycle Manager.
func (b *builder) bundle() error {
	examples, err := os.ReadFile("config/samples/quickstart.yaml")
	if err != nil {
		return err
	}
	icon, err := os.ReadFile("docs/icon.svg")
	if err != nil {
		return err
	}
	files, err := olm.Bundle(olm.Input{Release: b.Release, Install: b.install, Examples: examples, Icon: icon})
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := b.write("olm-bundle/"+f.Name, f.Data); err != nil {
			return err
		}
	}
	return nil
}
