package command

import (
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/probe"
)

// TestFilesFor: a check writes only where the user can remove what it wrote.
func TestFilesFor(t *testing.T) {
	u := &v1alpha1.SFTPUser{}
	u.Spec.HomeDirectory.Access = v1alpha1.AccessReadOnly
	for path, d := range map[string]v1alpha1.Directory{
		"/both":       {Access: v1alpha1.AccessReadWrite},
		"/both/inbox": {Access: v1alpha1.AccessWriteOnly},
		"/names":      {Access: v1alpha1.AccessCreateOnly, Listing: v1alpha1.ListingNames},
	} {
		u.Spec.Mounts = append(u.Spec.Mounts, v1alpha1.Mount{Path: path, Directory: d})
	}
	for dir, want := range map[string]probe.Files{
		"": probe.List, "/": probe.List, "/bothering": probe.List, "both": probe.Transfer, "/both/out": probe.Transfer,
		"/both/inbox": probe.LogIn, "both/inbox/x": probe.LogIn, "/names": probe.List,
	} {
		got, text := filesFor(u, dir)
		if got != want || (text == "") != (want == probe.Transfer) {
			t.Errorf("%q: %v, %q, want %v", dir, got, text, want)
		}
	}
}

// TestForwardable: a connection that a forwarded port cannot make is reported before it is tried.
func TestForwardable(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(l *v1alpha1.SFTPListener, u *v1alpha1.SFTPUser)
		want   string
	}{
		"open": {func(*v1alpha1.SFTPListener, *v1alpha1.SFTPUser) {}, ""},
		"loopback is allowed": {func(l *v1alpha1.SFTPListener, _ *v1alpha1.SFTPUser) {
			l.Spec.AllowedCIDRs = []v1alpha1.Network{"127.0.0.0/8"}
		}, ""},
		"proxies only": {func(l *v1alpha1.SFTPListener, _ *v1alpha1.SFTPUser) {
			l.Spec.ProxyProtocol.Mode = v1alpha1.ProxyProtocolRequired
		}, "PROXY header"},
		"networks of the listener": {func(l *v1alpha1.SFTPListener, _ *v1alpha1.SFTPUser) {
			l.Spec.AllowedCIDRs = []v1alpha1.Network{"203.0.113.0/24"}
		}, "of SFTPListener ns/l does not contain 127.0.0.1"},
		"networks of the user": {func(_ *v1alpha1.SFTPListener, u *v1alpha1.SFTPUser) {
			u.Spec.AllowedCIDRs = []v1alpha1.Network{"203.0.113.0/24"}
		}, "of SFTPUser ns/u does not contain 127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			l, u := &v1alpha1.SFTPListener{}, &v1alpha1.SFTPUser{}
			l.Namespace, l.Name, u.Namespace, u.Name = "ns", "l", "ns", "u"
			tc.change(l, u)
			err := forwardable(l, u)
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}
