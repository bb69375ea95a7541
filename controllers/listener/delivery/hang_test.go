package delivery

import (
	"context"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/controllers/apply"
	"github.com/sftp-operator/sftp-operator/controllers/apply/applytest"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// hanging does not answer requests to apply these objects.
type hanging struct {
	*applytest.Secrets
	names map[string]bool
}

func (h *hanging) Apply(ctx context.Context, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
	if u, ok := o.(interface{ GetName() string }); ok && h.names[u.GetName()] {
		<-ctx.Done()
		return ctx.Err()
	}
	return h.Secrets.Apply(ctx, o, opts...)
}

// Writes of shards that hang do not use up the time of the other shards or of the settings: removals from the others reach the
// pods.
func TestShardsThatHang(t *testing.T) {
	r := newRig(t)
	api := &hanging{Secrets: r.secrets, names: map[string]bool{}}
	r.Writer = &Writer{Client: api, Now: r.Now, Applier: &apply.Applier{Client: api, Live: api, Now: r.Now}}
	write := func(shards ...string) Result {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		return r.Write(ctx, r.l, r.output(shards...), "host keys", &r.cache)
	}
	if res := write("a", "b", "c d", "e f", "g", "h"); !res.Complete {
		t.Fatalf("%+v", res)
	}
	for _, i := range []int{0, 1, 3} {
		api.names[render.ShardSecretName(r.l, i)] = true
	}
	res := write("a=2", "b=2", "c", "e", "", "h")
	if res.Complete || res.Err == nil || !res.Wrote {
		t.Errorf("%+v", res)
	}
	r.wantUsers(res.Version, "a=1, b=1, c=1, e=1 f=1, , h=1")
}
