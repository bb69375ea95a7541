package render

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
)

func decision() attach.Decision {
	return attach.Decision{Username: "team-a.acme", Reason: v1alpha1.ReasonAccepted, User: &v1alpha1.SFTPUser{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "acme", UID: "4711"},
		Spec: v1alpha1.SFTPUserSpec{
			ExpirationTime: new(metav1.NewTime(time.Date(2027, 1, 1, 1, 0, 0, 0, time.FixedZone("CET", 3600)))),
			HomeDirectory:  v1alpha1.Directory{SubPath: "files", Access: v1alpha1.AccessReadOnly},
			Mounts: []v1alpha1.Mount{
				{Path: "/inbox", Directory: v1alpha1.Directory{Volume: "home", Scope: v1alpha1.ScopeNamespace, SubPath: "in", Access: v1alpha1.AccessWriteOnly, Listing: v1alpha1.ListingNames}},
				{Path: "/all", Directory: v1alpha1.Directory{Scope: v1alpha1.ScopeVolume}},
			},
			AllowedCIDRs: []string{"192.0.2.0/24"},
			Limits:       v1alpha1.UserLimits{MaxConnections: new(int32(3))},
		},
	}}
}

func creds() credentials.Credentials {
	return credentials.Credentials{
		Keys:     []config.Key{{PublicKey: "ssh-ed25519 AAAA", From: []string{"192.0.2.0/24"}}},
		Password: &config.Password{Hash: "$argon2id$h", Source: "s"},
		TOTP:     &config.TOTP{Secret: "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", Digits: 6, Algorithm: "SHA1"},
		Methods:  factor.Set{{factor.PublicKey, factor.Password, factor.TOTP}},
	}
}

func TestUserRecord(t *testing.T) {
	end := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	want := config.User{
		Username: "team-a.acme", UID: "4711", Namespace: "team-a", Name: "acme", Methods: []string{"PublicKey,Password,TOTP"},
		Keys: creds().Keys, Password: creds().Password, TOTP: creds().TOTP, NotAfter: &end, AllowFrom: []string{"192.0.2.0/24"}, MaxConnections: 3,
		Mounts: []config.Mount{
			{Path: "/", Volume: "archive", SubPath: "team-a/acme/files", Access: config.ReadOnly},
			{Path: "/inbox", Volume: "home", SubPath: "team-a/in", Access: config.WriteOnly, ListNames: true},
			{Path: "/all", Volume: "archive", Access: config.ReadWrite},
		},
	}
	if got := UserRecord(readListener(t, "full"), decision(), creds()); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// The daemon reads what the operator renders, and both compute the same digest for it.
func TestDaemonReadsTheConfiguration(t *testing.T) {
	hostKeys := []PrivateHostKey{
		{Private: []byte("key 0"), State: v1alpha1.HostKeyActive, Certificate: "ssh-ed25519-cert-v01@openssh.com AAAA"},
		{Private: []byte("key 1"), State: v1alpha1.HostKeyRetiring},
	}
	for _, name := range inputs {
		l := readListener(t, name)
		d := decision()
		if name == "minimal" { // it has no volume "archive"
			d.User.Spec.Mounts = nil
		}
		line, err := config.EncodeUser(UserRecord(l, d, creds()))
		if err != nil {
			t.Fatal(err)
		}
		shards := [][]byte{{}, line}
		files, err := Configuration(Settings(l, Trust{}, PodVolumePath), hostKeys, shards)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		for i, data := range files.Shards {
			files.Config[ShardFile(i)] = data
		}
		for file, data := range files.Config {
			if err := os.WriteFile(filepath.Join(dir, file), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		set, err := config.Load(dir)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if set.Digest != files.Digest || len(set.Users) != 1 || len(set.Rejected) != 0 || len(set.HostKeys) != 2 {
			t.Errorf("%s: digest %s, want %s; users %d, rejected %v, host keys %d", name, set.Digest, files.Digest, len(set.Users), set.Rejected, len(set.HostKeys))
		}
		if k := set.Listener.HostKeys; k[0].State != config.HostKeyActive || k[0].Certificate != hostKeys[0].Certificate || k[1].State != config.HostKeyRetiring {
			t.Errorf("%s: host keys %+v", name, k)
		}
		again, err := Configuration(Settings(l, Trust{}, PodVolumePath), hostKeys, shards)
		if err != nil || !bytes.Equal(again.Config[config.ListenerFile], files.Config[config.ListenerFile]) {
			t.Errorf("%s: equal input gives other bytes: %v", name, err)
		}
	}
}

func TestConfigurationNeedsAHostKey(t *testing.T) {
	_, err := Configuration(Settings(readListener(t, "minimal"), Trust{}, PodVolumePath), nil, nil)
	if err == nil || !strings.Contains(err.Error(), "hostKeys must not be empty") {
		t.Errorf("error %v", err)
	}
}

func TestAddressesAndKnownHosts(t *testing.T) {
	full := readListener(t, "full")
	service := Service(full)
	service.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "2001:db8::7"}, {Hostname: "lb.example.net"}, {IP: "203.0.113.7"}}
	got := Addresses(full, service)
	want := []v1alpha1.ListenerAddress{
		{Type: "Hostname", Value: "sftp.example.com", Port: 2022},
		{Type: "IPAddress", Value: "203.0.113.7", Port: 2022},
		{Type: "IPAddress", Value: "2001:db8::7", Port: 2022},
		{Type: "Hostname", Value: "lb.example.net", Port: 2022},
		{Type: "Hostname", Value: "partners-sftp.platform.svc", Port: 2022},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("addresses\n%v\nwant\n%v", got, want)
	}
	keys := []v1alpha1.HostKeyStatus{{PublicKey: "ssh-ed25519 AAAA platform/partners"}, {PublicKey: "ssh-rsa BBBB"}}
	lines := KnownHosts([]v1alpha1.ListenerAddress{{Value: "a", Port: 22}, {Value: "2001:db8::7", Port: 2022}}, keys)
	wantLines := []string{"a ssh-ed25519 AAAA", "a ssh-rsa BBBB", "[2001:db8::7]:2022 ssh-ed25519 AAAA", "[2001:db8::7]:2022 ssh-rsa BBBB"}
	if !reflect.DeepEqual(lines, wantLines) {
		t.Errorf("known hosts\n%q\nwant\n%q", lines, wantLines)
	}

	full.Spec.Service.Type = v1alpha1.ServiceNodePort
	got = Addresses(full, Service(full))
	if got[0].Port != 30022 || got[len(got)-1].Port != 2022 {
		t.Errorf("%v: the node's port is for those outside, the Service's for those inside", got)
	}
}

// Configuration combines the files of a complete configuration.
func Configuration(settings config.Listener, hostKeys []PrivateHostKey, shards [][]byte) (Files, error) {
	f := Files{Shards: shards, ShardDigests: make([]string, len(shards))}
	for i, s := range shards {
		f.ShardDigests[i] = config.Digest(s)
	}
	var err error
	f.Config, f.Digest, err = Compose(settings, hostKeys, nil, f.ShardDigests)
	return f, err
}
