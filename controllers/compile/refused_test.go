package compile

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// Pods know suspended and expired users, by name and inline keys. Other users who cannot log in are unknown to them.
func TestRefusedUsers(t *testing.T) {
	active, suspended, expired, overlap := user("a", 1), user("b", 2, 3), user("c", 4), user("d", 5)
	suspended.Spec.State = v1alpha1.UserSuspended
	suspended.Spec.Authentication.AuthorizedKeys = append(suspended.Spec.Authentication.AuthorizedKeys, "damaged")
	expired.Spec.ExpirationTime = new(metav1.NewTime(now))
	overlap.Spec.HomeDirectory.Volume = "missing"
	out := Compile(input(active, suspended, expired, overlap), nil)
	var got []string
	for _, u := range out.Settings.RefusedUsers {
		got = append(got, fmt.Sprintf("%s %s %s %d", u.Username, u.UID, u.Reason, len(u.Keys)))
	}
	want := fmt.Sprintf("b %s Suspended 2, c %s Expired 1", suspended.UID, expired.UID)
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("%s, want %s", text, want)
	}
	if !strings.Contains(string(out.Files.Config[config.ListenerFile]), `"refusedUsers":[{"username":"b"`) {
		t.Errorf("the configuration is %s", out.Files.Config[config.ListenerFile])
	}
}

// However many users are suspended, and whatever their names, the settings stay small, and active users can log in.
func TestRefusedUsersAreBounded(t *testing.T) {
	users := []*v1alpha1.SFTPUser{user("active", 1)}
	for i := range 3 * config.MaxRefusedUsers {
		u := user(fmt.Sprintf("u%04d", i), 2, 3, 4, 5)
		u.Spec.Username = fmt.Sprintf("%s%04d", strings.Repeat("n", 60), i)
		u.Spec.State = v1alpha1.UserSuspended
		users = append(users, u)
	}
	out := Compile(input(users...), nil)
	if n := len(out.Files.Config[config.ListenerFile]); n > maxRefusedBytes+10_000 || out.Blocked != nil || out.Users[0].Digest == "" {
		t.Errorf("%d bytes, blocked: %v", n, out.Blocked)
	}
	if n := len(out.Settings.RefusedUsers); n == 0 || n > config.MaxRefusedUsers {
		t.Errorf("%d users", n)
	}
	for _, u := range users[1:] {
		u.Spec.Username, u.Spec.Authentication.AuthorizedKeys = "", nil
	}
	if n := len(Compile(input(users...), nil).Settings.RefusedUsers); n != config.MaxRefusedUsers {
		t.Errorf("%d users with short names, want %d", n, config.MaxRefusedUsers)
	}
}
