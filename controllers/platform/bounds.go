package platform

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// Violation is a value that a bound does not allow.
type Violation struct {
	// Field of the listener, and Rule of the policy.
	Field, Rule string
	// Message names both and the value, and says what is allowed.
	Message string
}

// check collects violations.
type check struct {
	Bounds
	found []Violation
}

// violations returns what the bounds do not allow, in the order of the listener's fields.
func (p *Policy) violations(l *v1alpha1.SFTPListener, now time.Time) []Violation {
	c := &check{Bounds: p.Bounds}
	service, pod := l.Spec.Service, l.Spec.Infrastructure.Pod
	allow(c, fieldServiceType, "bounds.serviceTypes", service.Type, c.ServiceTypes)
	if service.Type == v1alpha1.ServiceLoadBalancer {
		allow(c, LoadBalancerClassField, "bounds.loadBalancerClasses", service.LoadBalancerClass, c.LoadBalancerClasses)
	}
	allow(c, fieldIPFamilyPolicy, "bounds.ipFamilyPolicies", service.IPFamilyPolicy, c.IPFamilyPolicies)
	c.keys("spec.service.annotations", "bounds.annotations", service.Annotations, c.Annotations)
	allow(c, fieldCryptoPolicy, "bounds.cryptoPolicies", l.Spec.CryptoPolicy, c.CryptoPolicies)
	c.legacy(l, now)
	for _, v := range l.Spec.Volumes {
		if v.ClaimTemplate != nil {
			allow(c, StorageClassField(v.Name), "bounds.storageClasses", v.ClaimTemplate.StorageClassName, c.StorageClasses)
		}
	}
	c.retention(l)
	c.tracing(l)
	if c.Labels != nil {
		given := maps.Clone(l.Spec.Infrastructure.Labels)
		maps.DeleteFunc(given, func(key, _ string) bool { _, has := p.Defaults.Labels[key]; return has })
		c.keys("spec.infrastructure.labels", "bounds.labels", given, c.Labels)
	}
	c.keys("spec.infrastructure.annotations", "bounds.annotations", l.Spec.Infrastructure.Annotations, c.Annotations)
	c.resources(pod.Resources)
	c.tolerations(pod.Tolerations)
	allow(c, fieldPriorityClass, "bounds.priorityClasses", pod.PriorityClassName, c.PriorityClasses)
	allow(c, fieldPullPolicy, "bounds.imagePullPolicies", pod.ImagePullPolicy, c.ImagePullPolicies)
	allow(c, fieldRuntimeClass, "bounds.runtimeClasses", pod.RuntimeClassName, c.RuntimeClasses)
	allow(c, fieldScheduler, "bounds.schedulers", pod.SchedulerName, c.Schedulers)
	allow(c, fieldFSGroup, "bounds.fsGroupPolicies", pod.FSGroupPolicy, c.FSGroupPolicies)
	for _, g := range pod.SupplementalGroups {
		allow(c, fieldGroups, "bounds.supplementalGroups", g, c.SupplementalGroups)
	}
	return c.found
}

func (c *check) add(field, rule, format string, args ...any) {
	c.found = append(c.found, Violation{Field: field, Rule: rule, Message: fmt.Sprintf("%s %s (%s)", field, fmt.Sprintf(format, args...), rule)})
}

// allow records a violation if allowed does not contain value. An unset value is allowed, and a nil list allows everything.
func allow[T comparable](c *check, field, rule string, value T, allowed []T) {
	var none T
	if allowed == nil || value == none || slices.Contains(allowed, value) {
		return
	}
	c.add(field, rule, "must not be %v: the platform allows %s", value, choice(allowed))
}

// maxChoices bounds how many allowed values a message lists.
const maxChoices = 8

func choice[T any](allowed []T) string {
	if len(allowed) == 0 {
		return "none"
	}
	var out []string
	for _, v := range allowed[:min(len(allowed), maxChoices)] {
		out = append(out, fmt.Sprint(v))
	}
	if more := len(allowed) - len(out); more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(out, ", "), more)
	}
	return strings.Join(out, ", ")
}

// keys records keys of labels or annotations that no pattern allows. Values can be long, and are not quoted.
func (c *check) keys(field, rule string, given map[string]string, allowed []string) {
	if allowed == nil {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(given)) {
		if !slices.ContainsFunc(allowed, func(pattern string) bool { return matches(pattern, key) }) {
			c.add(field, rule, "must not have %q: the platform allows %s", key, choice(allowed))
		}
	}
}

// matches reports whether a key equals a pattern, or begins with the part before its '*'.
func matches(pattern, key string) bool {
	if before, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(key, before)
	}
	return pattern == key
}

func patterns(bound string, list []string) error {
	for _, p := range list {
		if p == "" || strings.Contains(strings.TrimSuffix(p, "*"), "*") {
			return fmt.Errorf("bounds.%s: %q must be a key, or a prefix of keys with one '*' at its end", bound, p)
		}
	}
	return nil
}

// keys returns an error for labels that Kubernetes would refuse: no object of any listener could be applied.
func keys(labels map[string]string) error {
	var errs []error
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		for _, problem := range slices.Concat(validation.IsQualifiedName(k), validation.IsValidLabelValue(labels[k])) {
			errs = append(errs, fmt.Errorf("defaults.labels: %s: %s", k, problem))
		}
	}
	return errors.Join(errs...)
}

func (c *check) tolerations(given []v1alpha1.Toleration) {
	if c.Tolerations == nil {
		return
	}
	for _, t := range given {
		if !slices.ContainsFunc(c.Tolerations, func(allowed v1alpha1.Toleration) bool { return covers(allowed, t) }) {
			c.add(fieldTolerations, "bounds.tolerations", "must not have %s, which the platform does not allow", text(t))
		}
	}
}

// covers reports whether a toleration tolerates every taint that another one does. Durations are not compared.
func covers(allowed, t v1alpha1.Toleration) bool {
	if allowed.Effect != "" && allowed.Effect != t.Effect {
		return false
	}
	if allowed.Key == "" {
		return allowed.Operator == v1alpha1.TolerateExists
	}
	if allowed.Key != t.Key {
		return false
	}
	if allowed.Operator == v1alpha1.TolerateExists {
		return true
	}
	value := func(v *string) string {
		if v == nil {
			return ""
		}
		return *v
	}
	return t.Operator != v1alpha1.TolerateExists && value(allowed.Value) == value(t.Value)
}

// resourceNames are the resources that have bounds.
var resourceNames = []string{"cpu", "memory", "ephemeral-storage"}

func (c *check) resources(r *v1alpha1.PodResources) {
	if r == nil {
		r = &v1alpha1.PodResources{}
	}
	requests, limits := each(r.Requests), each(r.Limits)
	maxRequests, maxLimits := each(c.MaxRequests), each(c.MaxLimits)
	for _, name := range resourceNames {
		request, limit := requests[name], limits[name]
		if most := maxLimits[name]; most != nil && limit == nil {
			c.add(fieldResources, "bounds.maxLimits", "must have limits.%s, of at most %s", name, most)
		} else if most != nil && limit.Cmp(*most) > 0 {
			c.add(fieldResources, "bounds.maxLimits", "must not have limits.%s %s: the platform allows at most %s", name, limit, most)
		}
		if request == nil {
			request = limit // as Kubernetes does
		}
		if most := maxRequests[name]; most != nil && request != nil && request.Cmp(*most) > 0 {
			c.add(fieldResources, "bounds.maxRequests", "must not have requests.%s %s: the platform allows at most %s", name, request, most)
		}
	}
}

func each(a *v1alpha1.ResourceAmounts) map[string]*resource.Quantity {
	if a == nil {
		return nil
	}
	return map[string]*resource.Quantity{"cpu": a.CPU, "memory": a.Memory, "ephemeral-storage": a.EphemeralStorage}
}

// retention checks how soon files may be deleted, and whether at all.
func (c *check) retention(l *v1alpha1.SFTPListener) {
	for _, r := range l.Spec.Retention.Rules {
		allow(c, RetentionField(r.Name, "mode"), "bounds.retentionModes", r.Mode, c.RetentionModes)
		if least := c.RetentionMinSeconds; least != nil && r.DeleteAfterSeconds < *least {
			c.add(RetentionField(r.Name, "deleteAfterSeconds"), "bounds.retentionMinSeconds",
				"must not be %d: the platform allows %d or more", r.DeleteAfterSeconds, *least)
		}
	}
}

// legacy checks how long Legacy2026 would be offered.
func (c *check) legacy(l *v1alpha1.SFTPListener, now time.Time) {
	end := l.Spec.CryptoPolicyExpirationTime
	if end == nil || l.Spec.CryptoPolicy != v1alpha1.CryptoLegacy2026 {
		return
	}
	written := end.UTC().Format(time.RFC3339)
	if until := c.LegacyUntil; until != nil && end.After(until.Time) {
		c.add(fieldCryptoEnd, "bounds.legacyUntil", "must not be %s: the platform allows Legacy2026 until %s", written, until.UTC().Format(time.RFC3339))
	}
	if d := c.LegacyMaxDays; d != nil && end.After(now.AddDate(0, 0, int(*d))) {
		c.add(fieldCryptoEnd, "bounds.legacyMaxDays", "must not be %s: the platform allows Legacy2026 for at most %d days ahead", written, *d)
	}
}
