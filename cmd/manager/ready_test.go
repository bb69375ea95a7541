package main

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"
)

// cacheThatFills is filled once its channel is closed.
type cacheThatFills chan struct{}

func (c cacheThatFills) WaitForCacheSync(ctx context.Context) bool {
	select {
	case <-c:
		return true
	case <-ctx.Done():
		return false
	}
}

func TestReadyOnceCachesAreFilled(t *testing.T) {
	c := make(cacheThatFills)
	check := cachesAreFilled(c)
	request := httptest.NewRequestWithContext(t.Context(), "GET", "/readyz", nil)
	began := time.Now()
	if err := check(request); err == nil {
		t.Error("ready without a filled cache")
	}
	if took := time.Since(began); took > 5*readyTimeout {
		t.Errorf("the answer took %s", took)
	}
	close(c)
	if err := check(request); err != nil {
		t.Error(err)
	}
}
