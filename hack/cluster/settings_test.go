package main

import (
	"strings"
	"testing"
)

// settingsWith returns the settings for an environment that is given as NAME=VALUE.
func settingsWith(t *testing.T, env ...string) (settings, error) {
	t.Helper()
	return settingsFrom(func(name string) string {
		for _, e := range append([]string{"HOME=/home/dev"}, env...) {
			if v, ok := strings.CutPrefix(e, name+"="); ok {
				return v
			}
		}
		return ""
	})
}

func defaults(t *testing.T) settings {
	t.Helper()
	s, err := settingsWith(t)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSettings(t *testing.T) {
	s := defaults(t)
	for what, got := range map[string][2]string{
		"cache":       {s.Cache, "/home/dev/.cache/sftp-operator"},
		"kubeconfig":  {s.kubeconfig(), "/var/lib/sftp-operator-cluster/kubeconfig"},
		"node":        {s.nodeIP().String(), "10.201.0.1"},
		"API service": {s.apiServiceIP().String(), "10.202.0.1"},
		"DNS service": {s.dnsServiceIP().String(), "10.202.0.10"},
		"URL":         {s.url(), "https://127.0.0.1:16443"},
	} {
		if got[0] != got[1] {
			t.Errorf("%s = %s, want %s", what, got[0], got[1])
		}
	}
	if s, _ := settingsWith(t, "XDG_CACHE_HOME=/c"); s.Cache != "/c/sftp-operator" {
		t.Errorf("cache with XDG_CACHE_HOME = %s", s.Cache)
	}
	if s, _ := settingsWith(t, "XDG_CACHE_HOME=/c", "SFTP_OPERATOR_CACHE=/d"); s.Cache != "/d" {
		t.Errorf("cache with SFTP_OPERATOR_CACHE = %s", s.Cache)
	}
}

func TestSettingsRefuses(t *testing.T) {
	for _, env := range []string{
		"SFTP_OPERATOR_CLUSTER_DIR=/" + strings.Repeat("x", 60),
		"SFTP_OPERATOR_CLUSTER_PORT=ssh",
		"SFTP_OPERATOR_CLUSTER_PORT=443",
		"SFTP_OPERATOR_CLUSTER_PORT=29999",
		"SFTP_OPERATOR_CLUSTER_PODS=10.0.0.5/24",
		"SFTP_OPERATOR_CLUSTER_PODS=fd00::/64",
		"SFTP_OPERATOR_CLUSTER_PODS=10.0.0.0/30",
		"SFTP_OPERATOR_CLUSTER_PODS=10.202.0.0/24",
		"SFTP_OPERATOR_CLUSTER_SERVICES=10.201.0.0/16",
	} {
		_, err := settingsWith(t, env)
		name, _, _ := strings.Cut(env, "=")
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error = %v, want one that names the variable", env, err)
		}
	}
}
