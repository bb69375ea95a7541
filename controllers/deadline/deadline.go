// Package deadline bounds the time of single calls of the Kubernetes API. client-go waits for
// an answer until its context ends, and a reconcile's context ends with the process: without
// a bound, a call that hangs occupies a worker forever.
package deadline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// PerCall is the time that one call may take. The API server itself ends a write after 34
// seconds and asks an admission webhook for 10 seconds by default; an answer usually takes
// milliseconds.
const PerCall = 5 * time.Second

// Error reports that a call was ended because the API server did not answer in time.
type Error struct {
	// After is how long the call waited, 0 if the caller's context ended first.
	After time.Duration
	// err is what the client returned.
	err error
}

func (e *Error) Error() string {
	if e.After <= 0 {
		return "the API server did not answer in time"
	}
	return fmt.Sprintf("the API server did not answer within %s", e.After)
}

// Unwrap returns what the client returned.
func (e *Error) Unwrap() error { return e.err }

// NewClient returns a client whose calls time out.
func NewClient(c client.Client, each time.Duration) client.Client {
	return bounded{Client: c, each: limit(each)}
}

// NewReader returns a reader whose calls time out.
func NewReader(r client.Reader, each time.Duration) client.Reader {
	return reader{reader: r, each: limit(each)}
}

type limit time.Duration

// call runs a call with a timeout.
func (l limit) call(ctx context.Context, run func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, time.Duration(l))
	defer cancel()
	err := run(bounded)
	// The client's own message has the API server's address, and would end up in conditions.
	if err != nil && errors.Is(bounded.Err(), context.DeadlineExceeded) {
		if ctx.Err() != nil {
			return &Error{err: err}
		}
		return &Error{After: time.Duration(l), err: err}
	}
	return err
}

type reader struct {
	reader client.Reader
	each   limit
}

func (r reader) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	return r.each.call(ctx, func(ctx context.Context) error { return r.reader.Get(ctx, key, o, opts...) })
}

func (r reader) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	return r.each.call(ctx, func(ctx context.Context) error { return r.reader.List(ctx, list, opts...) })
}

// bounded embeds the client for methods without API calls, such as Scheme.
type bounded struct {
	client.Client
	each limit
}

func (c bounded) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	return c.each.call(ctx, func(ctx context.Context) error { return c.Client.Get(ctx, key, o, opts...) })
}

func (c bounded) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	return c.each.call(ctx, func(ctx context.Context) error { return c.Client.List(ctx, list, opts...) })
}

func (c bounded) Apply(ctx context.Context, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
	return c.each.call(ctx, func(ctx context.Context) error { return c.Client.Apply(ctx, o, opts...) })
}

func (c bounded) Create(ctx context.Context, o client.Object, opts ...client.CreateOption) error {
	return c.each.call(ctx, func(ctx context.Context) error { return c.Client.Create(ctx, o, opts...) })
}

func (c bounded) Delete(ctx context.Context, o client.Object, opts ...client.DeleteOption) error {
	return c.each.call(ctx, func(ctx context.Context) error { return c.Client.Delete(ctx, o, opts...) })
}

func (c bounded) DeleteAllOf(ctx context.Context, o client.Object, opts ...client.DeleteAllOfOption) error {
	return c.each.call(ctx, func(ctx context.Context) error { return c.Client.DeleteAllOf(ctx, o, opts...) })
}

func (c bounded) Update(ctx context.Context, o client.Object, opts ...client.UpdateOption) error {
	return c.each.call(ctx, func(ctx context.Context) error { return c.Client.Update(ctx, o, opts...) })
}

func (c bounded) Patch(ctx context.Context, o client.Object, p client.Patch, opts ...client.PatchOption) error {
	return c.each.call(ctx, func(ctx context.Context) error { return c.Client.Patch(ctx, o, p, opts...) })
}

func (c bounded) Status() client.SubResourceWriter { return c.SubResource("status") }

func (c bounded) SubResource(name string) client.SubResourceClient {
	return part{SubResourceClient: c.Client.SubResource(name), each: c.each}
}
