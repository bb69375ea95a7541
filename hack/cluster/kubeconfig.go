package main

import (
	"encoding/json"
	"errors"
	"os"
	"strconv"
)

// writeKubeconfigs writes the administrator's kubeconfig and those of the components.
func writeKubeconfigs(s settings) error {
	var errs []error
	for user, path := range map[string]string{
		"admin":              s.kubeconfig(),
		"controller-manager": s.path("config", "controller-manager.kubeconfig"),
		"dns":                s.path("config", "dns.kubeconfig"),
		"policies":           s.path("config", "policies.kubeconfig"),
		"scheduler":          s.path("config", "scheduler.kubeconfig"),
		"kubelet":            s.path("config", "kubelet.kubeconfig"),
		"proxy":              s.path("config", "proxy.kubeconfig"),
	} {
		errs = append(errs, writeKubeconfig(s, user, path))
	}
	return errors.Join(errors.Join(errs...), shareWithSudoUser(s.kubeconfig()))
}

// writeKubeconfig embeds the certificates, so that the file works wherever it is copied on this machine. It is JSON,
// which is also YAML.
func writeKubeconfig(s settings, user, path string) error {
	ca, err := os.ReadFile(s.cert("ca"))
	if err != nil {
		return err
	}
	cert, err := os.ReadFile(s.cert(user))
	if err != nil {
		return err
	}
	key, err := os.ReadFile(s.key(user))
	if err != nil {
		return err
	}
	return writeJSON(path, object{
		"apiVersion":      "v1",
		"kind":            "Config",
		"current-context": clusterName,
		"clusters": []object{{"name": clusterName, "cluster": object{
			"server": s.url(), "certificate-authority-data": ca,
		}}},
		"users": []object{{"name": user, "user": object{
			"client-certificate-data": cert, "client-key-data": key,
		}}},
		"contexts": []object{{"name": clusterName, "context": object{"cluster": clusterName, "user": user}}},
	}, 0o600)
}

// shareWithSudoUser gives a file to the person who called sudo: only root can start the cluster, but kubectl and the
// tests need not be root.
func shareWithSudoUser(path string) error {
	uid, err := strconv.Atoi(os.Getenv("SUDO_UID"))
	if err != nil {
		return nil //nolint:nilerr // not set: nothing to share
	}
	return os.Chown(path, uid, -1)
}

// object is a JSON object that is being built.
type object map[string]any

func writeJSON(path string, v any, mode os.FileMode) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), mode)
}
