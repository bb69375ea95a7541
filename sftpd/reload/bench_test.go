package reload

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/config"
	"github.com/sftp-operator/sftp-operator/sftpd/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/metrics"
)

// BenchmarkLoad is the time from a change to the swap, for a number of users with one key
// each.
func BenchmarkLoad(b *testing.B) {
	for _, users := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("users=%d", users), func(b *testing.B) {
			dir := configtest.New(b)
			dir.Plain = true
			for i := range users {
				key, _ := configtest.Key(b)
				dir.AddUser(fmt.Sprintf("user%d", i), "", key.PublicKey())
			}
			l := New(dir.Path, slog.New(slog.DiscardHandler), metrics.New("test"), nil)
			first := dir.Files(b)
			dir.Users[0].UID = "another"
			second := dir.Files(b)
			b.ResetTimer()
			for i := range b.N {
				b.StopTimer()
				files := first
				if i%2 == 1 {
					files = second
				}
				dir.WriteFiles(b, files)
				b.StartTimer()
				if err := l.Load(); err != nil {
					b.Fatal(err)
				}
				if l.Current().Digest != config.Digest(files[config.ListenerFile]) {
					b.Fatal("another configuration")
				}
			}
		})
	}
}
