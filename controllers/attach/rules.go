package attach

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// own is the rule of a listener without rules.
var own = v1alpha1.AllowedUsersRule{
	Name: "default", Namespaces: v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesSame},
}

// UsesLabels reports whether a listener's rules use labels of namespaces.
func UsesLabels(l *v1alpha1.SFTPListener) bool {
	return slices.ContainsFunc(l.Spec.AllowedUsers.Rules, func(r v1alpha1.AllowedUsersRule) bool {
		return r.Namespaces.From == v1alpha1.NamespacesSelector
	})
}

// noRule is the index of no rule, for a namespace that is not admitted.
const noRule = -1

// rules are a listener's rules, prepared for matching namespaces.
type rules struct {
	listener *v1alpha1.SFTPListener
	all      []v1alpha1.AllowedUsersRule
	// selectors of the rules that have one.
	selectors []labels.Selector
	// matched has the index of the rule for each namespace that was looked up, and last is the latest of them.
	matched map[string]int
	last    struct {
		namespace string
		rule      int
	}
}

func newRules(l *v1alpha1.SFTPListener) *rules {
	r := &rules{listener: l, all: l.Spec.AllowedUsers.Rules, matched: map[string]int{}}
	if len(r.all) == 0 {
		r.all = []v1alpha1.AllowedUsersRule{own}
	}
	r.selectors = make([]labels.Selector, len(r.all))
	for i, rule := range r.all {
		// An unusable selector matches nothing.
		r.selectors[i] = labels.Nothing()
		selector := rule.Namespaces.Selector
		if s, err := metav1.LabelSelectorAsSelector(selector.LabelSelector()); err == nil && selector != nil {
			r.selectors[i] = s
		}
	}
	return r
}

// of returns the index of the first rule that matches a namespace, noRule if there is none.
func (r *rules) of(namespace string, labelsOf map[string]map[string]string) int {
	if r.last.namespace == namespace && namespace != "" {
		return r.last.rule // users are sorted by namespace
	}
	rule, known := r.matched[namespace]
	if !known {
		rule = noRule
		for i := 0; i < len(r.all) && rule == noRule; i++ {
			if r.matches(i, namespace, labelsOf) {
				rule = i
			}
		}
		r.matched[namespace] = rule
	}
	r.last.namespace, r.last.rule = namespace, rule
	return rule
}

func (r *rules) matches(rule int, namespace string, labelsOf map[string]map[string]string) bool {
	switch n := r.all[rule].Namespaces; n.From {
	case v1alpha1.NamespacesAll:
		return true
	case v1alpha1.NamespacesNames:
		return slices.Contains(n.Names, namespace)
	case v1alpha1.NamespacesSelector:
		return r.selectors[rule].Matches(labels.Set(labelsOf[namespace]))
	case v1alpha1.NamespacesSame:
		return namespace == r.listener.Namespace
	}
	return false
}

// maxUsers returns how many logins a namespace may have under a rule.
func (r *rules) maxUsers(rule int, namespace string) int {
	switch most := r.all[rule].MaxUsers; {
	case most != nil:
		return int(*most)
	case namespace == r.listener.Namespace:
		return MaxUsers(r.listener)
	}
	return max(1, MaxUsers(r.listener)/2)
}

// maxConnections returns how many connections a namespace may have under a rule, 0 for the daemon's own limit.
func (r *rules) maxConnections(rule int) int {
	if n := r.all[rule].MaxConnections; n != nil {
		return int(*n)
	}
	return 0
}

// refusedMethod returns the method that a rule does not allow, "" if it allows both.
func (r *rules) refusedMethod(rule int) v1alpha1.AuthMethod {
	allowed := r.all[rule].Methods
	for _, m := range []v1alpha1.AuthMethod{v1alpha1.AuthPublicKey, v1alpha1.AuthPassword} {
		if len(allowed) > 0 && !slices.Contains(allowed, m) {
			return m
		}
	}
	return ""
}

// checkRule finds out what a rule does not allow in a user's spec.
func checkRule(l *v1alpha1.SFTPListener, u *v1alpha1.SFTPUser, rule *v1alpha1.AllowedUsersRule) (reason, message string) {
	if reason, message = checkRuleMethods(l, u, rule); reason != "" {
		return reason, message
	}
	for _, d := range directories(u) {
		if reason, message = checkRuleDirectory(l, u, rule, d); reason != "" {
			return reason, message
		}
	}
	return "", ""
}

// remedy returns the end of each message about a rule.
func remedy(rule *v1alpha1.AllowedUsersRule) string {
	return fmt.Sprintf("or ask its owner to change the rule %q of spec.allowedUsers", rule.Name)
}

func checkRuleMethods(l *v1alpha1.SFTPListener, u *v1alpha1.SFTPUser, rule *v1alpha1.AllowedUsersRule) (reason, message string) {
	if len(rule.Methods) > 0 {
		methods, explicit, err := Methods(l, u)
		if err != nil {
			return "", "" // checkMethods has reported it
		}
		for _, m := range asked(u, methods, explicit) {
			if !slices.Contains(rule.Methods, m) {
				return v1alpha1.ReasonMethodNotAllowed, fmt.Sprintf(
					"The listener does not allow the method %s to users of namespace %q; remove it from spec.authentication, %s", m, u.Namespace, remedy(rule))
			}
		}
	}
	if rule.Certificates == v1alpha1.CertificatesRefused && u.Spec.Authentication.Certificates == v1alpha1.CertificatesAccepted {
		return v1alpha1.ReasonMethodNotAllowed, fmt.Sprintf(
			"The listener does not allow certificates to users of namespace %q; remove spec.authentication.certificates, %s", u.Namespace, remedy(rule))
	}
	return "", ""
}

// checkRuleDirectory checks one directory. If several parts of a rule allow it, it may have the access of any of them.
func checkRuleDirectory(l *v1alpha1.SFTPListener, u *v1alpha1.SFTPUser, rule *v1alpha1.AllowedUsersRule, d directory) (reason, message string) {
	opened, allowed := openedBy(rule, l, u, d.Directory)
	switch {
	case !opened:
		return v1alpha1.ReasonDirectoryNotAllowed, fmt.Sprintf(
			"%s asks for %s, which the listener does not open to users of namespace %q; use its home volume with scope User or Namespace, %s",
			d.field, place(VolumeOf(l, d.Directory), SubPathOf(u, d.Directory)), u.Namespace, remedy(rule))
	case !allowed:
		return v1alpha1.ReasonAccessNotAllowed, fmt.Sprintf(
			"%s asks for %s, which the listener does not allow users of namespace %q there; set a different access, %s",
			d.field, opens(d.Directory), u.Namespace, remedy(rule))
	}
	return "", ""
}

func place(volume, subPath string) string {
	if subPath == "" {
		return fmt.Sprintf("the whole volume %q", volume)
	}
	return fmt.Sprintf("the directory %q of volume %q", subPath, volume)
}

// openedBy reports whether a rule makes a directory available to users of a namespace, and whether with the access that a user
// asks for.
func openedBy(rule *v1alpha1.AllowedUsersRule, l *v1alpha1.SFTPListener, u *v1alpha1.SFTPUser, d v1alpha1.Directory) (opened, allowed bool) {
	volume, path := VolumeOf(l, d), SubPathOf(u, d)
	open := func(most v1alpha1.Access) {
		opened = true
		allowed = allowed || within(rule.Access, d) && within(most, d)
	}
	if len(rule.Volumes) == 0 && u.Namespace == l.Namespace || volume == HomeVolume(l) && contains(u.Namespace, path) {
		open("")
	}
	for _, v := range rule.Volumes {
		paths := v.SubPaths
		if len(paths) == 0 {
			paths = []string{u.Namespace}
		}
		if v.Name == volume && slices.ContainsFunc(paths, func(p string) bool { return contains(p, path) }) {
			open(v.Access)
		}
	}
	return opened, allowed
}

// within reports whether an access allows no more than a rule's.
func within(most v1alpha1.Access, d v1alpha1.Directory) bool {
	switch access := AccessOf(d); most {
	case "", v1alpha1.AccessReadWrite:
		return true
	case v1alpha1.AccessReadOnly:
		return access == v1alpha1.AccessReadOnly
	case v1alpha1.AccessWriteOnly:
		return (access == v1alpha1.AccessWriteOnly || access == v1alpha1.AccessCreateOnly) && !ListsNames(d)
	case v1alpha1.AccessCreateOnly:
		return access == v1alpha1.AccessCreateOnly && !ListsNames(d)
	}
	return false
}
