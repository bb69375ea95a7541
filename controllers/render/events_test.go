package render

import (
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

func TestEventSettings(t *testing.T) {
	const keys = "types: [io.sftp-operator.key.expiring.v1]"
	for name, c := range map[string]struct {
		spec  string
		check func(config.Events) bool
	}{
		"none": {"{}", func(e config.Events) bool { return !e.On() }},
		"types that are not named": {"events: {sinks: [{name: a}]}", func(e config.Events) bool {
			return len(e.Sinks[0].Types) == len(events.DefaultTypes()) && e.KeyExpiringSeconds == 0
		}},
		"bounds": {"events: {outbox: {maxSize: 1Gi, maxAgeSeconds: 3600, whenFull: DropOldest}, sinks: [{name: a}]}", func(e config.Events) bool {
			return e.MaxBytes == 1<<30 && e.MaxAgeSeconds == 3600 && e.Drops()
		}},
		"keys":             {"events: {sinks: [{name: a}, {name: b, " + keys + "}]}", func(e config.Events) bool { return e.KeyExpiringSeconds == 30*86400 }},
		"keys of a policy": {"{keyPolicy: {expiringWithinDays: 7}, events: {sinks: [{name: b, " + keys + "}]}}", func(e config.Events) bool { return e.KeyExpiringSeconds == 7*86400 }},
		"keys at most":     {"{keyPolicy: {expiringWithinDays: 365}, events: {sinks: [{name: b, " + keys + "}]}}", func(e config.Events) bool { return e.KeyExpiring() <= config.MaxKeyExpiring }},
		// Another volume comes first now, but neither events nor receipts move there.
		"the home volume":              {"{volumes: [{name: front}, {name: data}], homeDirectory: {volume: data}, events: {sinks: [{name: a}]}}", func(e config.Events) bool { return e.Volume == "data" }},
		"the home volume for receipts": {"{volumes: [{name: front}, {name: data}], homeDirectory: {volume: data}, uploads: {receipts: {}}}", func(e config.Events) bool { return !e.On() && e.Volume == "data" }},
		"a policy without keys":        {"{keyPolicy: {expiringWithinDays: 7}, events: {sinks: [{name: a}]}}", func(e config.Events) bool { return e.KeyExpiringSeconds == 0 }},
	} {
		l := &v1alpha1.SFTPListener{}
		if err := yaml.UnmarshalStrict([]byte(c.spec), &l.Spec); err != nil {
			t.Fatal(name, err)
		}
		if got := eventSettings(l); !c.check(got) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
