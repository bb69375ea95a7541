package event

// Reason is why something was refused or ended. It is a label of metrics and a word in the audit log; clients never see it.
type Reason string

// Reasons to refuse a login.
const (
	UnknownUser             Reason = "unknown_user"
	UserExpired             Reason = "user_expired"
	UserSuspended           Reason = "user_suspended"
	KeyNotRegistered        Reason = "key_not_registered"
	KeyExpired              Reason = "key_expired"
	KeyNotYetValid          Reason = "key_not_yet_valid"
	KeyRevoked              Reason = "key_revoked"
	KeyTooShort             Reason = "key_too_short"
	BadSignature            Reason = "bad_signature"
	KeyUsedBefore           Reason = "key_used_before"
	NotAUserCertificate     Reason = "not_a_user_certificate"
	CANotTrusted            Reason = "ca_not_trusted"
	CANotAllowed            Reason = "ca_not_allowed"
	CertificatesNotAccepted Reason = "certificates_not_accepted"
	CertificatePrincipal    Reason = "certificate_principal"
	CertificateNotYetValid  Reason = "certificate_not_yet_valid"
	CertificateExpired      Reason = "certificate_expired"
	CertificateOption       Reason = "certificate_option"
	CertificateRevoked      Reason = "certificate_revoked"
	CertificateInvalid      Reason = "certificate_invalid"
	AlgorithmRefused        Reason = "algorithm_not_allowed"
	SourceNotAllowed        Reason = "source_not_allowed"
	WrongPassword           Reason = "wrong_password"
	NoPassword              Reason = "no_password"
	KeyRequiredFirst        Reason = "key_required_first"
	PasswordRequiredFirst   Reason = "password_required_first"
	WrongCode               Reason = "wrong_code"
	CodeReused              Reason = "code_reused"
	CodeClockSkew           Reason = "code_clock_skew"
	CodeOlderThanServer     Reason = "code_older_than_server"
	CodeTriesExceeded       Reason = "code_tries_exceeded"
	MethodNotOffered        Reason = "method_not_offered"
	PasswordQueueFull       Reason = "password_queue_timeout"
	NextFactorMissing       Reason = "next_factor_missing"
	ChangedDuringLogin      Reason = "changed_during_login"
	MaxTriesReached         Reason = "max_tries"
	LoginGraceExceeded      Reason = "login_grace_exceeded"
	LoginPenalized          Reason = "login_penalized"
)

// Reasons to revoke a session, in addition to UserExpired, UserSuspended, KeyExpired, KeyNotYetValid, KeyRevoked,
// CertificateRevoked, CertificateExpired, CANotTrusted, CertificatesNotAccepted, SourceNotAllowed and MethodNotOffered.
const (
	UserRemoved          Reason = "user_removed"
	KeyRemoved           Reason = "key_removed"
	PasswordChanged      Reason = "password_changed"
	TOTPChanged          Reason = "totp_changed"
	SecondFactorRequired Reason = "second_factor_required"
	MountsChanged        Reason = "mounts_changed"
)

// Reasons to refuse a connection before a user is named.
const (
	NotConfigured      Reason = "not_configured"
	SourcePenalized    Reason = "source_penalized"
	NotAProxy          Reason = "not_a_proxy"
	ProxyHeader        Reason = "proxy_header"
	Startups           Reason = "startups"
	StartupsOfSource   Reason = "startups_per_source"
	TooMuchBeforeLogin Reason = "too_much_before_login"
	ProtocolError      Reason = "protocol_error"
	NoCommonAlgorithm  Reason = "no_common_algorithm"
	ClientLeft         Reason = "client_left_handshake"
	MaxConnections     Reason = "max_connections"
	AcceptFailed       Reason = "accept_failed"
	AuditLogBlocked    Reason = "audit_log_blocked"
)

// Reasons to refuse a login that are not about its credentials.
const (
	MaxConnectionsOfUser Reason = "max_connections_per_user"
	// NamespaceConnections is a login of a namespace that has used up its share of sessions, and NamespaceStartups one of a
	// namespace that has used up its share of logins in progress.
	NamespaceConnections Reason = "namespace_connections"
	NamespaceStartups    Reason = "namespace_startups"
	LoginAbandoned       Reason = "login_abandoned"
	// Displaced is a login in progress that was evicted in favor of another.
	Displaced Reason = "displaced"
)

// Reasons to end a session or to refuse something in it.
const (
	ShuttingDown       Reason = "shutting_down"
	DrainTimeout       Reason = "drain_timeout"
	IdleTimeout        Reason = "idle_timeout"
	InternalError      Reason = "internal_error"
	StorageUnavailable Reason = "storage_unavailable"
	ChannelRefused     Reason = "channel_refused"
	RequestRefused     Reason = "request_refused"
	UnusedChannel      Reason = "unused_channel"
	UnreadData         Reason = "unread_data"
	ClientNotReading   Reason = "client_not_reading"
	OpenFiles          Reason = "open_files"
)
