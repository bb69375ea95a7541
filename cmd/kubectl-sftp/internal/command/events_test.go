package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/delivery"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// deadLetters starts a daemon with two dead letters of the sink jobs, behind the pod of a listener.
func deadLetters(t *testing.T, ns string) *events.Client {
	t.Helper()
	dir := configtest.New(t)
	signer, _ := configtest.Key(t)
	dir.AddUser("acme", "", signer.PublicKey())
	dir.RecordEvents(config.EventSink{Name: "jobs", Types: events.DefaultTypes()}, config.EventSink{Name: "other", Types: events.DefaultTypes()})
	dir.Listener.Uploads.Publish = config.PublishOnClose
	d := daemontest.Start(t, dir)
	c := &events.Client{Key: configtest.EventsKey()}
	d.Eventually(t, "the log is open", func() bool {
		st, err := c.Status(t.Context(), d.Health)
		return err == nil && st.Durable
	})
	client, err := sftp.NewClient(d.MustDial(t, "acme", ssh.PublicKeys(signer)))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/a.csv", "/b\x1b[2J.csv"} {
		f, err := client.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.ReadFrom(bytes.NewReader([]byte("x"))); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	lines, err := c.Pull(t.Context(), d.Health, events.Query{Sink: "jobs", Limit: 10, Wait: events.MaxWait})
	if err != nil || len(lines) != 2 {
		t.Fatalf("%d events, %v", len(lines), err)
	}
	for _, l := range lines {
		if err := c.Dead(t.Context(), d.Health, events.Dead{Sink: "jobs", Cursor: l.Cursor, Reason: "the receiver answered 400 Bad Request"}); err != nil {
			t.Fatal(err)
		}
	}
	node := ns + "-node"
	startKubelet(t, node).pod(t, ns, "partners", node, strings.TrimPrefix(d.Health, "http://"), "")
	relay, err := delivery.Config{
		Namespace: ns, Listener: "partners", Pods: "x", Port: 8081, Key: string(configtest.EventsKey()),
		Sinks: []delivery.Sink{{Name: "jobs", Held: "x"}},
	}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	create(t, newSecret(ns, "partners-sftp-relay", map[string]string{delivery.ConfigFile: string(relay)}))
	create(t, &v1alpha1.SFTPListener{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "partners"},
		Spec: v1alpha1.SFTPListenerSpec{
			Volumes: []v1alpha1.ListenerVolume{{Name: "home", EmptyDir: &v1alpha1.EmptyDirVolume{}}},
			Events: &v1alpha1.ListenerEvents{Sinks: []v1alpha1.EventSink{
				{Name: "jobs", ServiceRef: &v1alpha1.EventServiceReference{Name: "r", Port: 80}},
				{Name: "other", ServiceRef: &v1alpha1.EventServiceReference{Name: "r", Port: 80}},
			}},
		},
	})
	return c
}

// Dead letters of a real daemon are listed, sent again and dropped, through forwarded ports.
func TestEvents(t *testing.T) {
	ns := namespace(t, "events")
	deadLetters(t, ns)
	r := plug(t, "events", "list", "partners", "-n", ns)
	if r.code != 0 || strings.Count(r.out, "the receiver answered 400 Bad Request") != 2 || !strings.Contains(r.out, "/a.csv") || strings.Contains(r.out, "\x1b") {
		t.Errorf("%+v", r)
	}
	r = plug(t, "events", "list", "partners", "-n", ns, "-o", "json")
	var letters []deadLetter
	if err := json.Unmarshal([]byte(r.out), &letters); err != nil || len(letters) != 2 || letters[0].ID == "" || letters[0].Type != string(events.FilePublished) {
		t.Fatalf("%+v, %v", r, err)
	}
	r = plug(t, "events", "replay", "partners", "-n", ns, "--sink", "jobs", "--id", letters[0].ID)
	if r.code != 0 || r.out != "1 dead letters of sink jobs sent again\n" {
		t.Errorf("%+v", r)
	}
	r = plug(t, "events", "drop", "partners", "-n", ns, "--sink", "jobs", "--id", letters[0].ID)
	if r.code != 1 || !strings.Contains(r.err, "no dead letter of sink jobs has one of these ids") {
		t.Errorf("%+v", r)
	}
	if r = plug(t, "events", "list", "partners", "-n", ns, "--sink", "other"); r.code != 0 || r.err != "There are no dead letters.\n" {
		t.Errorf("%+v", r)
	}
	if r = plug(t, "events", "drop", "partners", "-n", ns, "--sink", "jobs"); r.code != 0 || r.out != "1 dead letters of sink jobs dropped\n" {
		t.Errorf("%+v", r)
	}
	if r = plug(t, "events", "list", "partners", "-n", ns); r.code != 0 || r.out != "" {
		t.Errorf("%+v", r)
	}
}

func TestEventsRefuses(t *testing.T) {
	ns := namespace(t, "events-refuses")
	plain := &v1alpha1.SFTPListener{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "plain"},
		Spec:       v1alpha1.SFTPListenerSpec{Volumes: []v1alpha1.ListenerVolume{{Name: "home", EmptyDir: &v1alpha1.EmptyDirVolume{}}}},
	}
	create(t, plain)
	partners := plain.DeepCopy()
	partners.ObjectMeta = metav1.ObjectMeta{Namespace: ns, Name: "partners"}
	partners.Spec.Events = &v1alpha1.ListenerEvents{Sinks: []v1alpha1.EventSink{{Name: "jobs", ServiceRef: &v1alpha1.EventServiceReference{Name: "r", Port: 80}}}}
	create(t, partners)
	reader := account(t, ns, "events-refuses", reads("sftplisteners"), rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list"}})
	for args, want := range map[string]string{
		"list plain":               "SFTPListener events-refuses/plain has no spec.events",
		"list nowhere":             "SFTPListener events-refuses/nowhere",
		"list":                     "accepts 1 arg(s)",
		"replay partners":          "--sink must be given",
		"drop partners --sink x":   `has no sink "x", but jobs`,
		"list partners":            "get Secret events-refuses/partners-sftp-relay with the key for events",
		"list partners READ":       "is forbidden",
		"list partners -o table":   `output format "table" is not one of json, yaml`,
		"replay partners --sink x": `has no sink "x", but jobs`,
	} {
		kubeconfig := administrator
		if before, ok := strings.CutSuffix(args, " READ"); ok {
			args, kubeconfig = before, reader
		}
		r := line(t, "", append(strings.Fields("events "+args), "-n", ns, "--kubeconfig", kubeconfig)...)
		if r.code == 0 || !strings.Contains(r.err, want) {
			t.Errorf("%s: %s, want %q", args, fmt.Sprintf("%+v", r), want)
		}
	}
}
