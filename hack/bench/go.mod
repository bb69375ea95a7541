module github.com/sftp-operator/sftp-operator/hack/bench

go 1.26.5

require (
	github.com/sftp-operator/sftp-operator v0.0.0-00010101000000-000000000000
	golang.org/x/crypto v0.58.0
)

require golang.org/x/sys v0.49.0 // indirect

replace github.com/sftp-operator/sftp-operator => ../..
