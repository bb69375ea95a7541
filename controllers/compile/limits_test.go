package compile

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
)

// The size of a record is limited. One byte more and its user has no record, without affecting others.
func TestRecordBound(t *testing.T) {
	sized := func(last int) *v1alpha1.SFTPUser {
		u := user("large", 1)
		for i := range 8 { // a path may be 4,096 bytes long
			u.Spec.Mounts = append(u.Spec.Mounts, v1alpha1.Mount{Path: fmt.Sprint("/", i, strings.Repeat("m", 3500))})
		}
		u.Spec.Mounts = append(u.Spec.Mounts, v1alpha1.Mount{Path: "/" + strings.Repeat("m", last)})
		return u
	}
	length := func(u *v1alpha1.SFTPUser) int {
		for _, s := range Compile(input(u), nil).Files.Shards {
			if len(s) > 0 {
				return len(s)
			}
		}
		return 0
	}
	most := maxRecordBytes - length(sized(1)) + 1
	if n := length(sized(most)); n != maxRecordBytes {
		t.Fatalf("the record has %d bytes, want %d", n, maxRecordBytes)
	}
	in := input(user("a", 2), sized(most+1), user("z", 3))
	out := Compile(in, nil)
	if all := records(t, out); len(all) != 2 || all["large"].UID != "" || out.Blocked != nil {
		t.Errorf("records %v, blocked %v", all, out.Blocked)
	}
	u := out.Users[1]
	want := fmt.Sprintf("its record has %d bytes, but at most %d are allowed; "+
		"give it fewer mounts, allowedCIDRs, or keys with networks, or shorter paths", maxRecordBytes+1, maxRecordBytes)
	if u.Err == nil || u.Err.Error() != want || u.Digest != "" || !u.Accepted() {
		t.Errorf("%s, digest %q: %v", u.Reason, u.Digest, u.Err)
	}
	if f := out.Findings(in.Listener); len(f) != 1 || f[0].Reason != v1alpha1.ReasonUserRejected || f[0].Message != "The user cannot be configured: "+want {
		t.Errorf("findings %v", f)
	}
	// The user gets the record back as soon as it fits, even with a memo.
	memo := &Memo{}
	in.Users[1].Generation = 1
	Compile(in, memo)
	in.Users = []*v1alpha1.SFTPUser{in.Users[0], changed(in.Users[1], func(u *v1alpha1.SFTPUser) { u.Spec.Mounts = nil }), in.Users[2]}
	if all := records(t, Compile(in, memo)); len(all) != 3 {
		t.Errorf("records %v", all)
	}
}

// Mounts that the API allows may exceed the size of a record, because the API counts characters.
func TestMountsOfLongCharacters(t *testing.T) {
	u := user("large", 1)
	for i := range 16 {
		u.Spec.Mounts = append(u.Spec.Mounts, v1alpha1.Mount{
			Path: fmt.Sprintf("/%02d%s", i, strings.Repeat("😀", 252)), Directory: v1alpha1.Directory{SubPath: strings.Repeat("😀", 255)},
		})
	}
	out := Compile(input(u), nil)
	if got := out.Users[0]; len(out.Users) != 1 || got.Err == nil || !strings.Contains(got.Err.Error(), "at most 32768 are allowed") {
		t.Errorf("%+v", got)
	}
}

// Each Secret that has not been read is reported once.
func TestUnreadFindings(t *testing.T) {
	ref := func(secret string, kind credentials.Kind) credentials.Ref {
		return credentials.Ref{Namespace: "team", Secret: secret, Entry: "e", Kind: kind}
	}
	in := input(user("a", 1), user("b", 2))
	in.Resolve = func(u *v1alpha1.SFTPUser) credentials.Credentials {
		out := resolve(u)
		if u.Name == "a" {
			out.Pending = []credentials.Ref{ref("new", credentials.KindKeys), ref("new", credentials.KindPassword), ref("failing", credentials.KindKeys)}
			out.Failures = []string{`Secret "failing" cannot be read: timeout`}
		}
		return out
	}
	out := Compile(in, nil)
	var got []string
	for _, f := range out.Findings(in.Listener) {
		got = append(got, f.String())
		if f.Missing {
			t.Errorf("%s: the object may exist", f)
		}
	}
	want := []string{
		`SFTPUser team/a: SecretUnreadable: Secret "failing" cannot be read: timeout`,
		`SFTPUser team/a: SecretUnreadable: Secret "new" has not been read yet`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if all := records(t, out); len(all) != 2 {
		t.Errorf("records %v: what was read counts", all)
	}
}
