package render

import (
	"cmp"
	"slices"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// retention returns the rules of a listener. Those for a volume that it does not have are left out: the home volume is
// unknown while it would move. So is where a hold on it is, and then no rule deletes anything.
func retention(l *v1alpha1.SFTPListener) config.Retention {
	r := l.Spec.Retention
	out := config.Retention{IntervalSeconds: or(r.IntervalSeconds, 0), StaleUploadSeconds: int64(or(r.StaleUploadSeconds, 0))}
	unknownHold := attach.HomeVolume(l) == "" && slices.ContainsFunc(r.Holds, func(h v1alpha1.RetentionHold) bool { return h.Volume == "" })
	for _, rule := range r.Rules {
		mode := cmp.Or(rule.Mode, v1alpha1.RetentionReport)
		if unknownHold {
			mode = v1alpha1.RetentionReport
		}
		volume := cmp.Or(rule.Volume, attach.HomeVolume(l))
		if volume == "" {
			continue
		}
		out.Rules = append(out.Rules, config.RetentionRule{
			Name: rule.Name,
			RetentionDirectory: config.RetentionDirectory{
				Volume: volume, Scope: string(cmp.Or(rule.Scope, v1alpha1.ScopeUser)), SubPath: rule.SubPath,
			},
			Match: rule.Match, DeleteAfterSeconds: rule.DeleteAfterSeconds, KeepNewest: or(rule.KeepNewest, 0),
			EmptyDirectories: rule.EmptyDirectories == v1alpha1.EmptyDirectoriesDelete,
			Mode:             string(mode),
			MaxFiles:         or(rule.MaxFiles, 0), MaxPercent: or(rule.MaxPercent, 0),
		})
	}
	for _, h := range r.Holds {
		if volume := cmp.Or(h.Volume, attach.HomeVolume(l)); volume != "" {
			out.Holds = append(out.Holds, config.RetentionHold{Name: h.Name, Volume: volume, Path: h.Path})
		}
	}
	return out
}
