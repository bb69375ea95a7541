package render

import (
	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// DefaultExpiringWithinDays is how long before its end a key counts as expiring.
const DefaultExpiringWithinDays = 30

// Effective returns the settings in effect for a listener, as shown in its status. They are what Settings gives the pods.
func Effective(l *v1alpha1.SFTPListener) v1alpha1.ListenerEffective {
	s := Settings(l, Trust{}, PodVolumePath)
	penalties := v1alpha1.PenaltiesDisabled
	if s.Sources.Penalties {
		penalties = v1alpha1.PenaltiesEnabled
	}
	return v1alpha1.ListenerEffective{
		Authentication: v1alpha1.EffectiveAuthentication{
			MaxAuthTries:      number(s.Authentication.MaxTries),
			LoginGraceSeconds: number(s.Authentication.LoginGraceSeconds),
			PasswordPolicy:    v1alpha1.PasswordPolicy{MinLength: number(MinPasswordLength(l))},
		},
		HomeDirectory: v1alpha1.ListenerHomeDirectory{Volume: attach.HomeVolume(l)},
		KeyPolicy: v1alpha1.ListenerKeyPolicy{
			ExpiringWithinDays: number(or(l.Spec.KeyPolicy.ExpiringWithinDays, DefaultExpiringWithinDays)),
			UnusedAfterDays:    l.Spec.KeyPolicy.UnusedAfterDays,
		},
		Limits: v1alpha1.ListenerLimits{
			MaxConnections: number(s.Limits.MaxConnections),
			// As in the spec, for which the API server refuses more than maxConnections; the default may be higher.
			MaxConnectionsPerUser: number(min(s.Limits.MaxConnectionsPerUser, s.Limits.MaxConnections)),
			IdleTimeoutSeconds:    number(s.Limits.IdleTimeoutSeconds),
			Startups: v1alpha1.ListenerStartups{
				Begin: number(s.Startups.Begin), DropPercent: number(s.Startups.DropPercent),
				Full: number(s.Startups.Full), PerSource: number(s.Startups.PerSource),
			},
		},
		Shutdown: v1alpha1.ListenerShutdown{
			ReadinessDelaySeconds: number(s.Shutdown.ReadinessDelaySeconds), DrainTimeoutSeconds: number(s.Shutdown.DrainTimeoutSeconds),
		},
		Sources: v1alpha1.ListenerSources{
			Penalties:         penalties,
			MaxPenaltySeconds: number(or(l.Spec.Sources.MaxPenaltySeconds, config.DefaultMaxPenaltySeconds)),
			IPv4PrefixLength:  number(or(l.Spec.Sources.IPv4PrefixLength, config.DefaultIPv4PrefixLength)),
			IPv6PrefixLength:  number(or(l.Spec.Sources.IPv6PrefixLength, config.DefaultIPv6PrefixLength)),
		},
	}
}

func number(n int) *int32 { return new(int32(n)) }
