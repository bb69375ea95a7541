package apply

import (
	"bytes"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The checksum of a Secret covers all of it: moving a shard to another entry is a change.
func TestSecretChecksum(t *testing.T) {
	sum := func(edit func(*corev1.Secret)) string {
		s := secret("sum", "1")
		s.Data["b"] = []byte("2")
		edit(s)
		in, err := newIntent(s, clientgoscheme.Scheme)
		if err != nil {
			t.Fatal(err)
		}
		return in.sum
	}
	same := sum(func(*corev1.Secret) {})
	if again := sum(func(s *corev1.Secret) { s.Data = map[string][]byte{"b": []byte("2"), "a": []byte("1")} }); again != same {
		t.Error("the order of entries counts")
	}
	seen := map[string]string{same: "unchanged"}
	for name, edit := range map[string]func(*corev1.Secret){
		"another name":      func(s *corev1.Secret) { s.Data["c"] = s.Data["b"]; delete(s.Data, "b") },
		"names exchanged":   func(s *corev1.Secret) { s.Data["a"], s.Data["b"] = s.Data["b"], s.Data["a"] },
		"other content":     func(s *corev1.Secret) { s.Data["b"] = []byte("3") },
		"one entry for two": func(s *corev1.Secret) { s.Data = map[string][]byte{"a": []byte(`1"b" 1 2`)} },
		"moved content":     func(s *corev1.Secret) { s.Data["a"], s.Data["b"] = []byte("12"), []byte{} },
		"an empty entry":    func(s *corev1.Secret) { s.Data["c"] = nil },
		"a label":           func(s *corev1.Secret) { s.Labels["x"] = "y" },
		"a type":            func(s *corev1.Secret) { s.Type = "x" },
	} {
		got := sum(edit)
		if seen[got] != "" {
			t.Errorf("%s has the checksum of %s", name, seen[got])
		}
		seen[got] = name
	}
}

// A Secret's type is immutable, and so is a Secret marked as immutable. The message says what to do and quotes none of its
// content.
func TestSecretThatCannotBeWritten(t *testing.T) {
	realServer(t)
	content := "TOPSECRET"
	for name, c := range map[string]struct {
		edit func(*corev1.Secret)
		want string
	}{
		"type": {
			edit: func(s *corev1.Secret) { s.Type = corev1.SecretTypeOpaque },
			want: "is not of the type sftp-operator.io/configuration, and the type of a Secret cannot be changed; delete it, and the operator recreates it",
		},
		"immutable": {
			edit: func(s *corev1.Secret) { s.Immutable = new(true) },
			want: "is marked as immutable; delete it, and the operator recreates it",
		},
	} {
		t.Run(name, func(t *testing.T) {
			made := func() *corev1.Secret {
				s := secret("fixed-"+name, content)
				s.Type = "sftp-operator.io/configuration"
				return s
			}
			before := made()
			c.edit(before)
			before.Annotations = map[string]string{"sftp-operator.io/adopt": "true"}
			create(t, before)
			want := made()
			want.Data["a"] = []byte(content + "2")
			_, err := (&Applier{Client: metadata{api}, Live: api}).For(listener).Apply(t.Context(), want)
			if text := `Secret "fixed-` + name + `" in namespace "default" ` + c.want; err == nil || err.Error() != text {
				t.Errorf("error\n\t%v\nwant\n\t%s", err, text)
			}
		})
	}
}

// If the API server rejects a Secret, the error is reported without quoting its content.
func TestRefusalsOfSecretsQuoteNothing(t *testing.T) {
	realServer(t)
	for name, edit := range map[string]func(*corev1.Secret){
		"too large":   func(s *corev1.Secret) { s.Data["a"] = bytes.Repeat([]byte("TOPSECRET"), corev1.MaxSecretSize/9+1) },
		"a bad entry": func(s *corev1.Secret) { s.Data["a b"] = []byte("TOPSECRET") },
		"a bad label": func(s *corev1.Secret) { s.Labels["x"] = "a b" },
		"a large annotation": func(s *corev1.Secret) {
			s.Annotations = map[string]string{"a": strings.Repeat("x", validation.TotalAnnotationSizeLimitB)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := secret("refused", "TOPSECRET")
			edit(s)
			_, err := (&Applier{Client: metadata{api}, Live: api}).For(listener).Apply(t.Context(), s)
			message, refused := Refusal(err)
			if !refused || !strings.HasPrefix(message, "The API server refused: apply Secret/default/refused: ") {
				t.Errorf("refused %v: %q of %v", refused, message, err)
			}
			if strings.Contains(message, "TOPSECRET") || strings.Contains(message, "VE9QU0VDUkVU") {
				t.Errorf("the message quotes the Secret: %.300q", message)
			}
			if err := api.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "refused"}, &corev1.Secret{}); err == nil {
				t.Error("it was made")
			}
		})
	}
}
