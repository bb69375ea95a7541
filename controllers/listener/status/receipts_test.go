package status

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// TestReceipts: a pod that cannot write receipts comes first, then a volume without locks or fsync, and a listener without receipts
// has no condition.
func TestReceipts(t *testing.T) {
	is := func(pod, failing, notDurable string) ack.Receipts {
		return ack.Receipts{Pod: pod, ReceiptsStatus: config.ReceiptsStatus{Failing: failing, NotDurable: notDurable}}
	}
	stays := func(pod, why string) ack.Receipts {
		return ack.Receipts{Pod: pod, ReceiptsStatus: config.ReceiptsStatus{NotRemoved: why}}
	}
	said := func(all ...ack.Receipts) *ack.Result { return &ack.Result{Ready: 2, Receipts: all} }
	was := []metav1.Condition{{Type: v1alpha1.ConditionReceiptsAvailable, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonReceiptsFailing, Message: "before"}}
	for _, c := range []struct {
		name            string
		off             bool
		before          []metav1.Condition
		acks            *ack.Result
		status          metav1.ConditionStatus
		reason, message string
	}{
		{name: "off", off: true, before: was, acks: said(is("a", "full", ""))},
		{name: "no pod was asked"},
		{name: "no pod was asked this time", before: was, status: "False", reason: v1alpha1.ReasonReceiptsFailing, message: "before"},
		{name: "no pod reports", before: was, acks: said(), status: "False", reason: v1alpha1.ReasonReceiptsFailing, message: "before"},
		{
			name: "well", before: was, acks: said(is("a", "", "")), status: "True", reason: v1alpha1.ReasonReceiptsAvailable,
			message: "Each upload with a checksum has a receipt",
		},
		{
			name: "not durable", acks: said(is("a", "", ""), is("b", "", "no locks")), status: "True", reason: v1alpha1.ReasonReceiptsNotDurable,
			message: "Receipts are issued, but a pod that is killed may lose the last ones: no locks",
		},
		{
			name: "not removed", acks: said(is("a", "", ""), stays("b", "permission denied")), status: "True", reason: v1alpha1.ReasonReceiptsNotRemoved,
			message: "Each upload with a checksum has a receipt, but pod b cannot remove old ones, which take up more and more of the volume: permission denied; kubectl -n files logs b says more",
		},
		{
			name: "neither durable nor removed", acks: said(is("a", "", "no locks"), stays("b", "permission denied")), status: "True",
			reason: v1alpha1.ReasonReceiptsNotDurable, message: "Receipts are issued, but a pod that is killed may lose the last ones: no locks",
		},
		{
			name: "failing", acks: said(is("a", "", "no locks"), is("b", "full", "no locks")), status: "False", reason: v1alpha1.ReasonReceiptsFailing,
			message: "Pod b cannot write receipts: full. Those that are recorded are kept, and written when it can; kubectl -n files logs b says more",
		},
	} {
		l := &v1alpha1.SFTPListener{ObjectMeta: metav1.ObjectMeta{Namespace: "files", Name: "partners"}}
		l.Status.Conditions = c.before
		if !c.off {
			l.Spec.Uploads.Receipts = &v1alpha1.UploadReceipts{}
		}
		st := Build(Input{Listener: l, Acks: c.acks, Now: time.Now()})
		got := meta.FindStatusCondition(st.Conditions, v1alpha1.ConditionReceiptsAvailable)
		switch {
		case got == nil && c.reason == "":
		case got == nil || got.Status != c.status || got.Reason != c.reason || got.Message != c.message:
			t.Errorf("%s: %+v", c.name, got)
		}
		if ready := meta.FindStatusCondition(st.Conditions, v1alpha1.ConditionReady); ready != nil && ready.Reason == v1alpha1.ReasonReceiptsFailing {
			t.Errorf("%s: Ready depends on it", c.name)
		}
	}
}
