package cel

import "testing"

// The rule is as long as it is because the API server bounds what it may cost. Written with optional fields (?.orValue) and with lists
// of one element in place of variables, it is half as long, and its estimated cost is more than 100 times the limit (1.37, November
// 2026): the estimate knows the size of neither.

// Every edit of volumes and homeDirectory either leaves the home directories where they are, is refused, or records where they
// were.
func TestHomesStay(t *testing.T) {
	const (
		data    = `{name: data, claimTemplate: {storage: 1Gi}}`
		archive = `{name: archive, persistentVolumeClaim: {claimName: archive}}`
		scratch = `{name: scratch, emptyDir: {}}`
		front   = `{name: front, claimTemplate: {storage: 1Gi}}`
	)
	spec := func(volumes, home string) string {
		if home == "" {
			return `spec: {volumes: [` + volumes + `]}`
		}
		return `spec: {volumes: [` + volumes + `], homeDirectory: {` + home + `}}`
	}
	stay := func(volume string) string {
		return `the home directories must stay where they are, on volume ` + volume + `: name it in spec.homeDirectory.volume; or move the files, and set spec.homeDirectory.movedFrom to ` + volume
	}
	both := spec(data+","+archive, "")
	testUpdates(t, validListener, []update{
		{"inserted in front", both, spec(front+","+data+","+archive, ""), stay("data")},
		{name: "inserted in front, with the home named", from: both, to: spec(front+","+data+","+archive, "volume: data")},
		{name: "inserted in front, and moved", from: both, to: spec(front+","+data+","+archive, "movedFrom: data")},
		{"inserted in front, and moved from elsewhere", both, spec(front+","+data+","+archive, "movedFrom: archive"), stay("data")},
		{name: "appended", from: both, to: spec(data+","+archive+","+scratch, "")},
		{"reordered", both, spec(archive+","+data, ""), stay("data")},
		{name: "reordered, with the home named", from: both, to: spec(archive+","+data, "volume: data")},
		{name: "reordered behind a named home", from: spec(data+","+archive, "volume: data"), to: spec(archive+","+data, "volume: data")},
		{"renamed", both, spec(front+","+archive, ""), stay("data")},
		{name: "renamed, and moved", from: both, to: spec(front+","+archive, "movedFrom: data")},
		{name: "renamed, with the same claim", from: spec(archive, ""), to: spec(`{name: files, persistentVolumeClaim: {claimName: archive}}`, "")},
		{name: "renamed, with the claim that the template made", from: `{metadata: {name: partners}, spec: {volumes: [` + data + `]}}`, to: `{metadata: {name: partners}, spec: {volumes: [{name: files, persistentVolumeClaim: {claimName: partners-data}}]}}`},
		{"removed", both, spec(archive, ""), stay("data")},
		{name: "removed, and moved", from: both, to: spec(archive, "movedFrom: data")},
		{name: "another one removed", from: both, to: spec(data, "")},
		{"another claim", spec(archive, ""), spec(`{name: archive, persistentVolumeClaim: {claimName: other}}`, ""), stay("archive")},
		{name: "another claim, and moved", from: spec(archive, ""), to: spec(`{name: archive, persistentVolumeClaim: {claimName: other}}`, "movedFrom: archive")},
		{
			"another claim, moved by an old word", spec(archive, "movedFrom: archive"),
			spec(`{name: archive, persistentVolumeClaim: {claimName: other}}`, "movedFrom: archive"), stay("archive"),
		},
		{name: "another claim of another volume", from: both, to: spec(data+`,{name: archive, persistentVolumeClaim: {claimName: other}}`, "")},
		{"an emptyDir in its place", both, spec(scratch+","+archive, ""), stay("data")},
		{"a claim in place of an emptyDir", spec(scratch, ""), spec(data, ""), stay("scratch")},
		{"another home named", both, spec(data+","+archive, "volume: archive"), stay("data")},
		{name: "another home named, and moved", from: both, to: spec(data+","+archive, "volume: archive, movedFrom: data")},
		{"moved back by an old word", spec(data+","+archive, "volume: archive, movedFrom: data"), spec(data+","+archive, "volume: data, movedFrom: data"), stay("archive")},
		{name: "moved back", from: spec(data+","+archive, "volume: archive, movedFrom: data"), to: spec(data+","+archive, "volume: data, movedFrom: archive")},
		{"the name of the home is taken back", spec(data+","+archive, "volume: archive"), spec(data+","+archive, ""), stay("archive")},
		{name: "the word is taken back", from: spec(data+","+archive, "volume: archive, movedFrom: data"), to: spec(data+","+archive, "volume: archive")},
		{name: "size and attributes", from: both, to: spec(`{name: data, attributes: Ignore, claimTemplate: {storage: 2Gi}},`+archive, "")},
	})
}
