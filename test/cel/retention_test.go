package cel

import (
	"strings"
	"testing"
)

func TestRetentionOfAListener(t *testing.T) {
	testCreations(t, validListener, []creation{
		{name: "all fields", patch: `
spec:
  retention:
    intervalSeconds: 3600
    staleUploadSeconds: 172800
    rules:
    - {name: a, volume: home, scope: Namespace, subPath: in/x, match: ["*.csv", "?"], deleteAfterSeconds: 3600, keepNewest: 1000, emptyDirectories: Delete, mode: Enforce, maxFiles: 5000000, maxPercent: 100}
    - {name: b, scope: Volume, match: ["*"], deleteAfterSeconds: 3153600000}
    holds: [{name: case-17, volume: home, path: team/ada}, {name: all}]
`},
		{name: "the least", patch: `spec: {retention: {rules: [{name: a, deleteAfterSeconds: 86400}]}}`},
		{name: "nothing", patch: `spec: {retention: {}}`, want: "at least 1 properties"},
		{name: "no time", patch: `spec: {retention: {rules: [{name: a}]}}`, want: "deleteAfterSeconds"},
		{name: "too soon", patch: `spec: {retention: {rules: [{name: a, deleteAfterSeconds: 3599}]}}`, want: "should be greater than or equal to 3600"},
		{name: "no name", patch: `spec: {retention: {rules: [{deleteAfterSeconds: 86400}]}}`, want: "name"},
		{name: "a name twice", patch: `spec: {retention: {rules: [{name: a, deleteAfterSeconds: 86400}, {name: a, deleteAfterSeconds: 86400}]}}`, want: "Duplicate value"},
		{name: "the name of the built-in rule", patch: `spec: {retention: {rules: [{name: stale-uploads, deleteAfterSeconds: 86400}]}}`, want: "must not be stale-uploads"},
		{name: "a name with blanks", patch: `spec: {retention: {rules: [{name: "a b", deleteAfterSeconds: 86400}]}}`, want: "must be lower-case letters"},
		{name: "a volume that is not there", patch: `spec: {retention: {rules: [{name: a, volume: other, deleteAfterSeconds: 86400}]}}`, want: "each volume in retention.rules must name an entry of volumes"},
		{name: "a hold on a volume that is not there", patch: `spec: {retention: {holds: [{name: a, volume: other}]}}`, want: "each volume in retention.holds must name an entry of volumes"},
		{name: "all of a volume by mistake", patch: `spec: {retention: {rules: [{name: a, scope: Volume, deleteAfterSeconds: 86400}]}}`, want: "rarely intended"},
		{name: "a pattern of paths", patch: `spec: {retention: {rules: [{name: a, match: ["in/*"], deleteAfterSeconds: 86400}]}}`, want: "without '/'"},
		{name: "a path that leaves", patch: `spec: {retention: {rules: [{name: a, subPath: ../x, deleteAfterSeconds: 86400}]}}`, want: "relative path"},
		{name: "a hold outside", patch: `spec: {retention: {holds: [{name: a, path: /etc}]}}`, want: "relative path"},
		{name: "another mode", patch: `spec: {retention: {rules: [{name: a, mode: Delete, deleteAfterSeconds: 86400}]}}`, want: "Unsupported value"},
		{name: "more than all", patch: `spec: {retention: {rules: [{name: a, maxPercent: 101, deleteAfterSeconds: 86400}]}}`, want: "should be less than or equal to 100"},
		{name: "leftovers too soon", patch: `spec: {retention: {staleUploadSeconds: 86400}}`, want: "should be greater than or equal to 172800"},
		{name: "too many rules", patch: `spec: {retention: {rules: [` + strings.Repeat(`{name: a, deleteAfterSeconds: 86400},`, 17) + `]}}`, want: "at most 16 items"},
	})
}
