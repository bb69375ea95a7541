package daemon_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// BenchmarkSmallUploads measures the cost of a small file with and without events, for one client and for eight.
func BenchmarkSmallUploads(b *testing.B) {
	for _, publish := range []string{config.PublishImmediate, config.PublishOnClose} {
		for _, on := range []bool{false, true} {
			for _, clients := range []int{1, 8} {
				b.Run(fmt.Sprintf("%s/events=%t/clients=%d", publish, on, clients), func(b *testing.B) {
					dir := configtest.New(b)
					dir.AddUser("ada", "secret")
					dir.Listener.Uploads.Publish = publish
					if on {
						dir.RecordEvents(config.EventSink{Name: "jobs", Types: []events.Type{events.FilePublished}})
						dir.Listener.Events.MaxBytes = config.MaxEventsBytes
					}
					d := daemontest.Start(b, dir)
					var all []*sftp.Client
					for range clients {
						c, err := sftp.NewClient(d.MustDial(b, "ada", ssh.Password("secret")))
						if err != nil {
							b.Fatal(err)
						}
						all = append(all, c)
					}
					b.ResetTimer()
					var working sync.WaitGroup
					for i, c := range all {
						working.Go(func() {
							for n := i; n < b.N; n += clients {
								f, err := c.Create(fmt.Sprintf("/file-%d", n))
								if err == nil {
									_, err = f.Write(make([]byte, 1000))
								}
								if err == nil {
									err = f.Close()
								}
								if err != nil {
									b.Error(err)
									return
								}
							}
						})
					}
					working.Wait()
				})
			}
		}
	}
}
