package monitoring

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

// series has the samples of one hour, in promtool's notation, one per minute.
type series map[string]string

// listener returns a series with the labels that a daemon's series get from the PodMonitor.
func listener(name string, labels ...string) string {
	return name + `{` + strings.Join(append([]string{`namespace="files"`, `listener="partners"`, `pod="p"`}, labels...), ",") + `}`
}

func operator(name string, labels ...string) string {
	return name + `{` + strings.Join(append([]string{`job="op"`, `instance="a"`}, labels...), ",") + `}`
}

func ofListener(name string, labels ...string) string {
	return name + `{` + strings.Join(append([]string{`namespace="files"`, `listener="partners"`}, labels...), ",") + `}`
}

// healthy returns an hour without problems, in which every value is as close to its threshold as allowed.
func healthy() series {
	return series{
		operator("sftp_operator_build_info", `version="1"`):                                   "1x60",
		operator("controller_runtime_reconcile_errors_total", `controller="listener"`):        "0+1x60",
		operator("workqueue_depth", `name="listener"`):                                        "100x60",
		ofListener("sftp_operator_listener_ready"):                                            "1x60",
		ofListener("sftp_operator_listener_pods", `state="ready"`):                            "2x60",
		ofListener("sftp_operator_listener_pods", `state="acknowledged"`):                     "2x60",
		operator("sftp_operator_acknowledgement_duration_seconds_bucket", `le="5"`):           "0+10x60",
		operator("sftp_operator_acknowledgement_duration_seconds_bucket", `le="15"`):          "0+10x60",
		operator("sftp_operator_acknowledgement_duration_seconds_bucket", `le="+Inf"`):        "0+10x60",
		operator("sftp_operator_rollouts", `state="queued"`):                                  "60-1x60",
		operator("sftp_operator_rollouts", `state="paused"`):                                  "2x60",
		ofListener("sftp_operator_listener_platform_violations"):                              "0x60",
		operator("sftp_operator_platform_policy_rejected"):                                    "0x60",
		ofListener("sftp_operator_host_certificate_renewal_timestamp_seconds", `key="k"`):     "3600x60",
		ofListener("sftp_operator_user_keys", `state="Expiring"`):                             "0x60",
		ofListener("sftp_operator_user_keys", `state="Expired"`):                              "3x60",
		ofListener("sftp_operator_listener_users", `state="not_ready"`):                       "0x60",
		ofListener("sftp_operator_listener_users", `state="inactive"`):                        "5x60",
		listener("sftpd_config_reload_errors_total"):                                          "4x60",
		listener("sftpd_config_rejected_users"):                                               "0x60",
		listener("sftpd_logins_total", `method="PublicKey"`, `result="refused"`):              "0+60x60",
		listener("sftpd_logins_total", `method="PublicKey"`, `result="ok"`):                   "0+900x60",
		listener("sftpd_refusals_total", `reason="max_connections"`):                          "3x60",
		listener("sftpd_refusals_total", `reason="unknown_user"`):                             "0+60x60",
		listener("sftpd_refusals_total", `reason="storage_unavailable"`):                      "1x60",
		listener("sftpd_refusals_total", `reason="internal_error"`):                           "1x60",
		listener("sftpd_volume_writable", `volume="home"`):                                    "1x60",
		listener("sftpd_retention_halted", `rule="old"`, `volume="home"`, `reason="TooMany"`): "0x60",
		listener("sftpd_receipts_failing"):                                                    "0x60",
		listener("sftpd_audit_write_failures_total"):                                          "2x60",
		listener("sftpd_audit_blocked_seconds"):                                               "0x60",
		listener("sftp_relay_oldest_event_seconds", `sink="jobs"`):                            "900x60",
		listener("sftp_relay_dead_letters", `sink="jobs"`):                                    "0x60",
		listener("sftp_relay_suspended", `sink="jobs"`):                                       "0x60",
		listener("sftp_relay_held", `sink="jobs"`):                                            "0x60",
		listener("sftpd_transfers_total", `direction="upload"`, `result="failed"`):            "0+5x60",
		listener("sftpd_transfers_total", `direction="upload"`, `result="ok"`):                "0+95x60",
		listener("sftpd_crypto_policy_not_after_timestamp_seconds"):                           "0x60",
		`sftpd_crypto_policy_not_after_timestamp_seconds{namespace="files",listener="later"}`: "1214000x60",
	}
}

// An alert is silent in a healthy hour, and fires in one that differs from it.
var alerts = []struct {
	name    string
	differs series // "" for a series that does not exist
	labels  map[string]string
	summary string
}{
	{
		"SFTPOperatorDown",
		series{operator("sftp_operator_build_info", `version="1"`): ""},
		map[string]string{"severity": "warning"},
		"No sftp-operator is scraped; endpoints keep working, but changes are not delivered.",
	},
	{
		"SFTPOperatorErrors",
		series{operator("controller_runtime_reconcile_errors_total", `controller="listener"`): "0+6x60"},
		map[string]string{"severity": "warning", "controller": "listener"},
		"The controller listener of the sftp-operator fails 0.10 times a second.",
	},
	{
		"SFTPOperatorBacklog",
		series{operator("workqueue_depth", `name="listener"`): "101x60"},
		map[string]string{"severity": "warning", "name": "listener"},
		"101 objects wait for the controller listener of the sftp-operator.",
	},
	{
		"SFTPListenerNotReady",
		series{ofListener("sftp_operator_listener_ready"): "0x60"},
		map[string]string{"severity": "critical", "namespace": "files", "listener": "partners"},
		"SFTPListener files/partners is not ready; clients may be unable to log in.",
	},
	{
		"SFTPConfigurationNotDelivered",
		series{ofListener("sftp_operator_listener_pods", `state="acknowledged"`): "1x60"},
		map[string]string{"severity": "critical", "namespace": "files", "listener": "partners"},
		"1 pods of SFTPListener files/partners still use an older configuration: revoked keys and users may still log in there.",
	},
	{
		"SFTPDeliverySlow",
		series{operator("sftp_operator_acknowledgement_duration_seconds_bucket", `le="5"`): "0x60"},
		map[string]string{"severity": "warning"},
		"One change in ten takes 14s or more to reach all pods.",
	},
	{
		"SFTPRolloutsStalled",
		series{operator("sftp_operator_rollouts", `state="queued"`): "30-1x27 3x120"},
		map[string]string{"severity": "warning", "job": "op", "instance": "a", "state": "queued"},
		"3 rollouts are waiting for their turn, and none has begun for an hour: these listeners still run pods of an older version.",
	},
	{
		"SFTPPlatformPolicy",
		series{ofListener("sftp_operator_listener_platform_violations"): "2x60"},
		map[string]string{"severity": "warning", "namespace": "files", "listener": "partners"},
		"The platform does not allow the spec of SFTPListener files/partners; its pods, Service and claims stay as they are, even during upgrades.",
	},
	{
		"SFTPPlatformPolicyRejected",
		series{operator("sftp_operator_platform_policy_rejected"): "1x60"},
		map[string]string{"severity": "warning", "job": "op", "instance": "a"},
		"The platform's policy for listeners was changed to one that the operator cannot use; the previous one stays in effect.",
	},
	{
		"SFTPKeysExpiring",
		series{ofListener("sftp_operator_user_keys", `state="Expiring"`): "2x120"},
		map[string]string{"severity": "info", "namespace": "files", "listener": "partners"},
		"2 keys of users of SFTPListener files/partners expire soon.",
	},
	{
		"SFTPConfigurationRejected",
		series{listener("sftpd_config_reload_errors_total"): "4x55 5x65"},
		map[string]string{"severity": "critical", "namespace": "files", "listener": "partners", "pod": "p"},
		"Pod files/p cannot load its configuration and keeps the previous one.",
	},
	{
		"SFTPUsersNotReady",
		series{ofListener("sftp_operator_listener_users", `state="not_ready"`): "3x60"},
		map[string]string{"severity": "info", "namespace": "files", "listener": "partners"},
		"3 users of SFTPListener files/partners cannot log in until something is corrected.",
	},
	{
		"SFTPUsersRejected",
		series{listener("sftpd_config_rejected_users"): "2x60"},
		map[string]string{"severity": "warning", "namespace": "files", "listener": "partners"},
		"2 users of SFTPListener files/partners have records that its pods cannot use.",
	},
	{
		"SFTPLoginsRefused",
		series{listener("sftpd_logins_total", `method="PublicKey"`, `result="refused"`): "0+120x60"},
		map[string]string{"severity": "warning", "namespace": "files", "listener": "partners"},
		"SFTPListener files/partners refuses 2 logins a second.",
	},
	{
		"SFTPOutOfPlaces",
		series{listener("sftpd_refusals_total", `reason="max_connections"`): "0+1x60"},
		map[string]string{"severity": "warning", "namespace": "files", "listener": "partners", "reason": "max_connections"},
		"SFTPListener files/partners turns clients away (max_connections).",
	},
	{
		"SFTPStorageUnavailable",
		series{listener("sftpd_refusals_total", `reason="storage_unavailable"`): "0+1x60"},
		map[string]string{"severity": "critical", "namespace": "files", "listener": "partners"},
		"Users of SFTPListener files/partners can log in but have no files.",
	},
	{
		"SFTPRetentionHalted",
		series{listener("sftpd_retention_halted", `rule="old"`, `volume="home"`, `reason="TooMany"`): "0x20 1x40"},
		map[string]string{"severity": "warning", "rule": "old", "reason": "TooMany", "namespace": "files", "listener": "partners"},
		"Retention rule old of SFTPListener files/partners does not delete (TooMany).",
	},
	{
		"SFTPReceiptsFailing",
		series{listener("sftpd_receipts_failing"): "0x30 1x30"},
		map[string]string{"severity": "warning", "namespace": "files", "listener": "partners"},
		"Pods of SFTPListener files/partners cannot write receipts to where partners find them.",
	},
	{
		"SFTPVolumeNotWritable",
		series{listener("sftpd_volume_writable", `volume="home"`): "1x30 0x30"},
		map[string]string{"severity": "critical", "namespace": "files", "listener": "partners", "volume": "home"},
		"Users of SFTPListener files/partners cannot write to its volume home.",
	},
	{
		"SFTPTransfersFail",
		series{listener("sftpd_transfers_total", `direction="upload"`, `result="failed"`): "0+5x0 5+25x60"},
		map[string]string{"severity": "warning", "namespace": "files", "listener": "partners"},
		"20.83% of the transfers of SFTPListener files/partners fail.",
	},
	{
		"SFTPEventsNotDelivered",
		series{listener("sftp_relay_oldest_event_seconds", `sink="jobs"`): "901x60"},
		map[string]string{"severity": "warning", "namespace": "files", "listener": "partners", "sink": "jobs"},
		"Events of SFTPListener files/partners do not reach the receiver jobs.",
	},
	{
		"SFTPEventsNotDelivered",
		series{listener("sftp_relay_suspended", `sink="jobs"`): "1x60"},
		map[string]string{"severity": "warning", "namespace": "files", "listener": "partners", "sink": "jobs"},
		"Events of SFTPListener files/partners do not reach the receiver jobs.",
	},
	{
		"SFTPEventsNotDelivered",
		series{listener("sftp_relay_held", `sink="jobs"`): "1x60"},
		map[string]string{"severity": "warning", "namespace": "files", "listener": "partners", "sink": "jobs"},
		"Events of SFTPListener files/partners do not reach the receiver jobs.",
	},
	{
		"SFTPEventDeadLetters",
		series{listener("sftp_relay_dead_letters", `sink="jobs"`): "1x60"},
		map[string]string{"severity": "warning", "namespace": "files", "listener": "partners", "sink": "jobs"},
		"Events of SFTPListener files/partners could not be delivered to jobs, and are kept as dead letters.",
	},
	{
		"SFTPAuditLogIncomplete",
		series{listener("sftpd_audit_write_failures_total"): "2x55 3x65"},
		map[string]string{"severity": "critical", "namespace": "files", "listener": "partners"},
		"Standard output of pods of SFTPListener files/partners does not accept the audit log.",
	},
	{
		"SFTPAuditLogIncomplete",
		series{listener("sftpd_audit_blocked_seconds"): "0x30 7x90"},
		map[string]string{"severity": "critical", "namespace": "files", "listener": "partners"},
		"Standard output of pods of SFTPListener files/partners does not accept the audit log.",
	},
	{
		"SFTPInternalErrors",
		series{listener("sftpd_refusals_total", `reason="internal_error"`): "0x30 1x30"},
		map[string]string{"severity": "warning", "namespace": "files", "listener": "partners"},
		"A connection of SFTPListener files/partners ended because of a bug in the daemon.",
	},
	{
		"SFTPHostCertificateNotRenewed",
		series{ofListener("sftp_operator_host_certificate_renewal_timestamp_seconds", `key="k"`): "600x60"},
		map[string]string{"severity": "warning", "namespace": "files", "listener": "partners", "key": "k"},
		"The host certificate of SFTPKey k of SFTPListener files/partners expires soon, or has expired, and has not been renewed.",
	},
	{
		"SFTPCryptoPolicyEnding",
		series{listener("sftpd_crypto_policy_not_after_timestamp_seconds"): "1200000x120"},
		map[string]string{"severity": "info", "namespace": "files", "listener": "partners"},
		"The crypto policy of SFTPListener files/partners ends within two weeks; clients that need it will no longer be able to connect.",
	},
}

// The rules are well formed, and each fires when it should and not before.
func TestAlerts(t *testing.T) {
	rules := readRules(t)
	dir := t.TempDir()
	content, err := yaml.Marshal(map[string]any{"groups": rules})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "rules.yaml"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, dir, nil, "check", "rules", "--lint=all", "--lint-fatal", "rules.yaml")

	tested := map[string]bool{}
	var all []map[string]any
	silent := hour(healthy(), nil)
	for _, a := range alerts {
		tested[a.name] = true
		silent["alert_rule_test"] = append(asList(silent["alert_rule_test"]), map[string]any{"eval_time": "60m", "alertname": a.name})
		all = append(all, hour(healthy(), a.differs, map[string]any{
			"eval_time": evalTime(a.differs), "alertname": a.name, "exp_alerts": []map[string]any{{
				"exp_labels": a.labels, "exp_annotations": map[string]string{"summary": a.summary, "runbook_url": runbook(a.name)},
			}},
		}))
	}
	for _, g := range rules {
		for _, r := range g.Rules {
			if !tested[r.Alert] {
				t.Errorf("nothing tests the alert %s", r.Alert)
			}
		}
	}
	content, err = yaml.Marshal(map[string]any{"rule_files": []string{"rules.yaml"}, "evaluation_interval": "1m", "tests": append(all, silent)})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tests.yaml"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, dir, nil, "test", "rules", "tests.yaml")
}

// evalTime returns the end of the hour, or a later time if a series continues.
func evalTime(differs series) string {
	for _, values := range differs {
		if strings.Contains(values, "x120") {
			return (119 * time.Minute).String()
		}
	}
	return "60m"
}

func asList(v any) []map[string]any {
	list, _ := v.([]map[string]any)
	return list
}

// hour returns a promtool test.
func hour(normal, differs series, tests ...map[string]any) map[string]any {
	input := []map[string]string{}
	for name, values := range normal {
		if other, ok := differs[name]; ok {
			values = other
		}
		if values != "" {
			input = append(input, map[string]string{"series": name, "values": values})
		}
	}
	return map[string]any{"interval": "1m", "input_series": input, "alert_rule_test": tests}
}
