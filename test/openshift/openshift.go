// Package openshift has admission policies that treat pods as OpenShift's restricted-v2 does, for clusters that do not run OpenShift.
package openshift

import (
	"bytes"
	"context"
	_ "embed"
	"errors"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// Label, set to "true" on a namespace, subjects its pods to the policies.
const Label = "test.sftp-operator.io/openshift-like"

// FirstID is the user that pods get, and the group of their volumes; LastID is the end of the range.
const (
	FirstID = 1000650000
	LastID  = 1000659999
)

//go:embed policies.yaml
var policies []byte

// Install creates the policies and returns a function that removes them. The API server enforces them after a moment.
func Install(ctx context.Context, c client.Client) (remove func() error, err error) {
	var made []client.Object
	remove = func() error {
		var errs []error
		for _, o := range made {
			errs = append(errs, client.IgnoreNotFound(c.Delete(context.WithoutCancel(ctx), o)))
		}
		return errors.Join(errs...)
	}
	for document := range bytes.SplitSeq(policies, []byte("\n---\n")) {
		o := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict(document, &o.Object); err != nil {
			return nil, err
		}
		if err := c.Create(ctx, o); err != nil {
			return nil, errors.Join(err, remove())
		}
		made = append(made, o)
	}
	return remove, nil
}
