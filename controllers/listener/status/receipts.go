package status

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
)

// receipts fills in how receipts are kept. Known values stay while no pod reports any.
func (in Input) receipts(st *v1alpha1.SFTPListenerStatus) {
	if in.Listener.Spec.Uploads.Receipts == nil {
		meta.RemoveStatusCondition(&st.Conditions, v1alpha1.ConditionReceiptsAvailable)
		return
	}
	if in.Acks == nil || len(in.Acks.Receipts) == 0 {
		return
	}
	conditions.Set(&st.Conditions, in.Listener.Generation, in.receiptsAvailable())
}

// receiptsAvailable turns pods' reports into a condition. They are in the order of the pods' names, so that the message is stable.
func (in Input) receiptsAvailable() metav1.Condition {
	for _, p := range in.Acks.Receipts {
		if p.Failing != "" {
			return conditions.False(v1alpha1.ConditionReceiptsAvailable, v1alpha1.ReasonReceiptsFailing, fmt.Sprintf(
				"Pod %s cannot write receipts: %s. Those that are recorded are kept, and written when it can; kubectl -n %s logs %s says more",
				p.Pod, p.Failing, in.Listener.Namespace, p.Pod))
		}
	}
	for _, p := range in.Acks.Receipts {
		if p.NotDurable != "" {
			return conditions.True(v1alpha1.ConditionReceiptsAvailable, v1alpha1.ReasonReceiptsNotDurable, fmt.Sprintf(
				"Receipts are issued, but a pod that is killed may lose the last ones: %s", p.NotDurable))
		}
	}
	for _, p := range in.Acks.Receipts {
		if p.NotRemoved != "" {
			return conditions.True(v1alpha1.ConditionReceiptsAvailable, v1alpha1.ReasonReceiptsNotRemoved, fmt.Sprintf(
				"Each upload with a checksum has a receipt, but pod %s cannot remove old ones, which take up more and more of the volume: %s; kubectl -n %s logs %s says more",
				p.Pod, p.NotRemoved, in.Listener.Namespace, p.Pod))
		}
	}
	return conditions.True(v1alpha1.ConditionReceiptsAvailable, v1alpha1.ReasonReceiptsAvailable, "Each upload with a checksum has a receipt")
}
