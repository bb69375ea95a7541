// Package platform has a platform team's decisions for all listeners: defaults for what their owners leave open, and bounds
// on what they may ask for. It is pure. The operator and manager render read it from a file, which the chart writes.
package platform

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// Policy has what a platform team decides. A nil Policy decides nothing.
type Policy struct {
	Defaults Defaults `json:"defaults,omitzero"`
	Bounds   Bounds   `json:"bounds,omitzero"`
	// unusable is set if the policy is unknown.
	unusable bool
}

// Unusable returns a policy that stands for one that cannot be read: what it allows is unknown, so nothing that it might bound may
// change.
func Unusable() *Policy { return &Policy{unusable: true} }

// Defaults apply to listeners that do not say otherwise. The fields are those of an SFTPListener.
type Defaults struct {
	// Labels are added to those of spec.infrastructure.labels; a listener's own win.
	Labels map[string]string `json:"labels,omitempty"`
	// StorageClassName is for claims that do not exist yet.
	StorageClassName string `json:"storageClassName,omitempty"`
	// LoadBalancerClass is for Services of type LoadBalancer.
	LoadBalancerClass string                  `json:"loadBalancerClass,omitempty"`
	IPFamilyPolicy    v1alpha1.IPFamilyPolicy `json:"ipFamilyPolicy,omitempty"`
	// ImagePullSecrets are names of Secrets in the namespace of each listener.
	ImagePullSecrets  []string               `json:"imagePullSecrets,omitempty"`
	ImagePullPolicy   v1alpha1.PullPolicy    `json:"imagePullPolicy,omitempty"`
	FSGroupPolicy     v1alpha1.FSGroupPolicy `json:"fsGroupPolicy,omitempty"`
	PriorityClassName string                 `json:"priorityClassName,omitempty"`
	RuntimeClassName  string                 `json:"runtimeClassName,omitempty"`
	NodeSelector      map[string]string      `json:"nodeSelector,omitempty"`
	Tolerations       []v1alpha1.Toleration  `json:"tolerations,omitempty"`
	Resources         *v1alpha1.PodResources `json:"resources,omitempty"`
}

// Bounds limit what listeners may ask for. A nil list bounds nothing, and an empty one allows nothing. Anything that a
// listener leaves open is always allowed, except for a resource limit that has a maximum.
type Bounds struct {
	ServiceTypes        []v1alpha1.ServiceType    `json:"serviceTypes,omitempty"`
	LoadBalancerClasses []string                  `json:"loadBalancerClasses,omitempty"`
	IPFamilyPolicies    []v1alpha1.IPFamilyPolicy `json:"ipFamilyPolicies,omitempty"`
	StorageClasses      []string                  `json:"storageClasses,omitempty"`
	PriorityClasses     []string                  `json:"priorityClasses,omitempty"`
	RuntimeClasses      []string                  `json:"runtimeClasses,omitempty"`
	Schedulers          []string                  `json:"schedulers,omitempty"`
	ImagePullPolicies   []v1alpha1.PullPolicy     `json:"imagePullPolicies,omitempty"`
	FSGroupPolicies     []v1alpha1.FSGroupPolicy  `json:"fsGroupPolicies,omitempty"`
	SupplementalGroups  []int64                   `json:"supplementalGroups,omitempty"`
	// Tolerations are those that listeners may have, see covers.
	Tolerations []v1alpha1.Toleration `json:"tolerations,omitempty"`
	// Annotations are keys, or prefixes of keys before a '*', that infrastructure.annotations and service.annotations may
	// have.
	Annotations []string `json:"annotations,omitempty"`
	// Labels are the same for infrastructure.labels, in addition to those of Defaults.
	Labels []string `json:"labels,omitempty"`
	// MaxRequests and MaxLimits bound the resources of a pod. A limit that is not set is above each maximum.
	MaxRequests *v1alpha1.ResourceAmounts `json:"maxRequests,omitempty"`
	MaxLimits   *v1alpha1.ResourceAmounts `json:"maxLimits,omitempty"`
	// CryptoPolicies are those that listeners may have.
	CryptoPolicies []v1alpha1.CryptoPolicy `json:"cryptoPolicies,omitempty"`
	// RetentionModes are those that rules of spec.retention may have, and RetentionMinSeconds is how soon they may delete.
	RetentionModes      []v1alpha1.RetentionMode `json:"retentionModes,omitempty"`
	RetentionMinSeconds *int64                   `json:"retentionMinSeconds,omitempty"`
	// LegacyMaxDays is how far ahead cryptoPolicyExpirationTime may be, and LegacyUntil when Legacy2026 has to end.
	LegacyMaxDays *int32       `json:"legacyMaxDays,omitempty"`
	LegacyUntil   *metav1.Time `json:"legacyUntil,omitempty"`
	// TracingHosts are the hosts that tracing.endpoint may name: names as in Events, or addresses.
	TracingHosts []string `json:"tracingHosts,omitempty"`
	// Events are where events may be sent. Without them only Services of a listener's own namespace get any.
	Events *EventBounds `json:"events,omitempty"`
}

const (
	// maxFile bounds the file of a policy in bytes: that of a ConfigMap.
	maxFile = 1 << 20
	// maxLegacyDays bounds LegacyMaxDays: 100 years.
	maxLegacyDays = 36500
	// maxRetentionSeconds bounds RetentionMinSeconds: as much as a rule of retention may have.
	maxRetentionSeconds = 3153600000
)

// ReadFile reads a policy from a file. No name stands for no policy.
func ReadFile(name string) (*Policy, error) {
	if name == "" {
		return nil, nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	p, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// Parse parses a policy in YAML or JSON. It refuses anything that it does not know, values that no listener could have, and
// defaults that the bounds do not allow.
func Parse(data []byte) (*Policy, error) {
	if len(data) > maxFile {
		return nil, fmt.Errorf("the policy has %d bytes, more than %d", len(data), maxFile)
	}
	p := &Policy{}
	if len(bytes.TrimSpace(data)) == 0 {
		return p, nil
	}
	if err := yaml.UnmarshalStrict(data, p); err != nil {
		return nil, err
	}
	err := p.validate()
	return p, err
}

func (p *Policy) validate() error {
	b := p.Bounds
	errs := []error{
		known("serviceTypes", b.ServiceTypes, v1alpha1.ServiceClusterIP, v1alpha1.ServiceNodePort, v1alpha1.ServiceLoadBalancer),
		known("ipFamilyPolicies", append(slices.Clone(b.IPFamilyPolicies), set(p.Defaults.IPFamilyPolicy)...),
			v1alpha1.IPSingleStack, v1alpha1.IPPreferDualStack, v1alpha1.IPRequireDualStack),
		known("imagePullPolicies", append(slices.Clone(b.ImagePullPolicies), set(p.Defaults.ImagePullPolicy)...), "Always", "IfNotPresent", "Never"),
		known("fsGroupPolicies", append(slices.Clone(b.FSGroupPolicies), set(p.Defaults.FSGroupPolicy)...),
			v1alpha1.FSGroupFixed, v1alpha1.FSGroupPlatform),
		known("cryptoPolicies", b.CryptoPolicies,
			v1alpha1.CryptoModern2026, v1alpha1.CryptoStrict2026, v1alpha1.CryptoFips2026, v1alpha1.CryptoLegacy2026),
		known("retentionModes", b.RetentionModes, v1alpha1.RetentionReport, v1alpha1.RetentionEnforce),
		patterns("annotations", b.Annotations),
		patterns("labels", b.Labels),
		keys(p.Defaults.Labels),
		b.Events.validate(),
		tracingHosts(b.TracingHosts),
	}
	if d := b.LegacyMaxDays; d != nil && (*d < 1 || *d > maxLegacyDays) {
		errs = append(errs, fmt.Errorf("bounds.legacyMaxDays must be 1 to %d, but is %d", maxLegacyDays, *d))
	}
	if s := b.RetentionMinSeconds; s != nil && (*s < 1 || *s > maxRetentionSeconds) {
		errs = append(errs, fmt.Errorf("bounds.retentionMinSeconds must be 1 to %d, but is %d", int64(maxRetentionSeconds), *s))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return p.agree()
}

// agree returns an error for each default that the bounds do not allow: each listener that leaves the field open would break
// them.
func (p *Policy) agree() error {
	l := &v1alpha1.SFTPListener{Spec: v1alpha1.SFTPListenerSpec{
		Volumes: []v1alpha1.ListenerVolume{{Name: "a", ClaimTemplate: &v1alpha1.ClaimTemplate{Storage: resource.MustParse("1Gi")}}},
	}}
	l.Spec.Service.Type = v1alpha1.ServiceLoadBalancer
	applied, defaults := p.apply(l)
	var errs []error
	for _, v := range p.violations(applied, time.Time{}) {
		if slices.ContainsFunc(defaults, func(d v1alpha1.PlatformDefault) bool { return d.Field == v.Field }) {
			errs = append(errs, fmt.Errorf("a default breaks a bound: %s", v.Message))
		}
	}
	return errors.Join(errs...)
}

// set returns a value as a list, none for the empty one.
func set[T comparable](v T) []T {
	var none T
	if v == none {
		return nil
	}
	return []T{v}
}

func known[T ~string](field string, list []T, all ...T) error {
	for _, v := range list {
		if !slices.Contains(all, v) {
			return fmt.Errorf("%s: %q is not one of %v", field, v, all)
		}
	}
	return nil
}
