// Package v1alpha1 declares the API group sftp-operator.io: SFTPListener (an
// endpoint), SFTPUser (a login on it) and SFTPKey (an SSH key pair and the
// Secret that holds it).
//
// The comments of this package are the reference that users read with kubectl explain, so
// they speak of behavior and limits, not of implementation.
//
// +kubebuilder:object:generate=true
// +groupName=sftp-operator.io
package v1alpha1
