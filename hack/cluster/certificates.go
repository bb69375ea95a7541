package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

// authority signs the certificates of one purpose.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// subject is what a certificate is for. A server has hosts, a client has none.
type subject struct {
	file  string // name in the pki folder, without extension
	name  string
	group string
	hosts []string
}

// writeCertificates creates the cluster's PKI: three authorities, because a certificate of one must not be accepted for another
// purpose (a client of etcd is not a client of the API server, and the front proxy's certificate vouches for any user).
func writeCertificates(s settings) error {
	if err := os.MkdirAll(s.path("pki"), 0o700); err != nil {
		return err
	}
	node := s.nodeIP().String()
	for ca, subjects := range map[string][]subject{
		"ca": {
			{file: "apiserver", name: "kube-apiserver", hosts: []string{
				"127.0.0.1", node, s.apiServiceIP().String(),
				"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + clusterDomain,
			}},
			{file: "apiserver-kubelet", name: "kube-apiserver-kubelet-client", group: "system:masters"},
			{file: "admin", name: "sftp-operator-admin", group: "system:masters"},
			{file: "controller-manager", name: "system:kube-controller-manager"},
			{file: "dns", name: dnsUser},
			{file: "policies", name: policyUser},
			{file: "scheduler", name: "system:kube-scheduler"},
			{file: "proxy", name: "system:kube-proxy"},
			{file: "kubelet", name: "system:node:" + nodeName, group: "system:nodes"},
			{file: "kubelet-server", name: nodeName, hosts: []string{node, "127.0.0.1", nodeName}},
		},
		"etcd-ca": {
			{file: "etcd", name: "etcd", hosts: []string{"127.0.0.1", "localhost"}},
			{file: "apiserver-etcd", name: "kube-apiserver"},
		},
		"front-proxy-ca": {{file: "front-proxy", name: "front-proxy-client"}},
	} {
		authority, err := newAuthority(s, ca)
		if err != nil {
			return err
		}
		for _, sub := range subjects {
			if err := authority.issue(s, sub); err != nil {
				return fmt.Errorf("certificate %s: %w", sub.file, err)
			}
		}
	}
	key, err := newKey(s, "service-accounts")
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return err
	}
	return writePEM(s.path("pki", "service-accounts.pub"), "PUBLIC KEY", public)
}

func newAuthority(s settings, name string) (*authority, error) {
	key, err := newKey(s, name)
	if err != nil {
		return nil, err
	}
	template := certificate(pkix.Name{CommonName: clusterName + " " + name})
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage |= x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{cert, key}, writePEM(s.cert(name), "CERTIFICATE", der)
}

func (a *authority) issue(s settings, sub subject) error {
	key, err := newKey(s, sub.file)
	if err != nil {
		return err
	}
	name := pkix.Name{CommonName: sub.name}
	if sub.group != "" {
		name.Organization = []string{sub.group}
	}
	template := certificate(name)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if sub.hosts != nil {
		// etcd's gateway calls etcd itself with the server's certificate, so a server may also be a client.
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	for _, h := range sub.hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return err
	}
	return writePEM(s.cert(sub.file), "CERTIFICATE", der)
}

func certificate(name pkix.Name) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(err) // crypto/rand's reader never fails
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      name,
		NotBefore:    time.Now().Add(-time.Hour), // clocks may be set back
		NotAfter:     time.Now().AddDate(1, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
}

func newKey(s settings, name string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, writePEM(s.key(name), "EC PRIVATE KEY", der)
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
