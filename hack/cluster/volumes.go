package main

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
)

// driver is the name by which StorageClasses ask for our volumes.
const driver = "sftp-operator.io/local-folder"

// The parts of the API objects that provisioning needs.
type (
	list[T any] struct{ Items []T }

	metadata struct {
		Name              string            `json:"name,omitempty"`
		Namespace         string            `json:"namespace,omitempty"`
		UID               string            `json:"uid,omitempty"`
		Annotations       map[string]string `json:"annotations,omitempty"`
		DeletionTimestamp string            `json:"deletionTimestamp,omitempty"`
	}
	storageClass struct {
		APIVersion        string            `json:"apiVersion"`
		Kind              string            `json:"kind"`
		Metadata          metadata          `json:"metadata"`
		Provisioner       string            `json:"provisioner"`
		ReclaimPolicy     string            `json:"reclaimPolicy,omitempty"`
		VolumeBindingMode string            `json:"volumeBindingMode,omitempty"`
		Parameters        map[string]string `json:"parameters,omitempty"`
	}
	volumeClaim struct {
		Metadata metadata
		Spec     struct {
			StorageClassName string
			VolumeName       string
			VolumeMode       string
			AccessModes      []string
			Selector         any
			Resources        struct{ Requests map[string]string }
		}
	}
	volume struct {
		APIVersion string       `json:"apiVersion"`
		Kind       string       `json:"kind"`
		Metadata   metadata     `json:"metadata"`
		Spec       volumeSpec   `json:"spec"`
		Status     volumeStatus `json:"status,omitzero"`
	}
	volumeSpec struct {
		StorageClassName              string            `json:"storageClassName"`
		Capacity                      map[string]string `json:"capacity"`
		AccessModes                   []string          `json:"accessModes"`
		PersistentVolumeReclaimPolicy string            `json:"persistentVolumeReclaimPolicy"`
		ClaimRef                      claimRef          `json:"claimRef"`
		Local                         localFolder       `json:"local"`
		NodeAffinity                  any               `json:"nodeAffinity"`
	}
	volumeStatus struct {
		Phase string `json:"phase,omitempty"`
	}
	localFolder struct {
		Path string `json:"path"`
	}
	claimRef struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Namespace  string `json:"namespace"`
		Name       string `json:"name"`
		UID        string `json:"uid"`
	}
)

const (
	provisionedBy = "pv.kubernetes.io/provisioned-by"
	selectedNode  = "volume.kubernetes.io/selected-node" // set by the scheduler when a pod uses the claim
	isDefault     = "storageclass.kubernetes.io/is-default-class"
	waitForPod    = "WaitForFirstConsumer"
	mediumKey     = "sftp-operator.io/medium" // a parameter of a class, and an annotation of its volumes
	memory        = "memory"
)

// createStorageClasses creates the default class, which binds when a pod uses the claim, like those of most
// clouds, one that binds at once, and one whose volumes can fill up.
func createStorageClasses(ctx context.Context, api *api) error {
	class := func(name, binding string) storageClass {
		return storageClass{
			APIVersion: "storage.k8s.io/v1", Kind: "StorageClass", Metadata: metadata{Name: name},
			Provisioner: driver, ReclaimPolicy: "Delete", VolumeBindingMode: binding,
		}
	}
	local := class("local", waitForPod)
	local.Metadata.Annotations = map[string]string{isDefault: "true"}
	const path = "/apis/storage.k8s.io/v1/storageclasses"
	sized := class("local-memory", waitForPod)
	sized.Parameters = map[string]string{mediumKey: memory}
	return errors.Join(api.create(ctx, path, local), api.create(ctx, path, class("local-immediate", "Immediate")), api.create(ctx, path, sized))
}

// plan decides which volumes to create and which to delete.
func plan(classes []storageClass, claims []volumeClaim, volumes []volume, dir string) (wanted, released []volume) {
	for _, c := range claims {
		i := slices.IndexFunc(classes, func(class storageClass) bool { return class.Metadata.Name == c.Spec.StorageClassName })
		if i < 0 || classes[i].Provisioner != driver || !waitsForVolume(c, classes[i]) {
			continue
		}
		v := volumeFor(c, classes[i], dir)
		if !slices.ContainsFunc(volumes, func(have volume) bool { return have.Metadata.Name == v.Metadata.Name }) {
			wanted = append(wanted, v)
		}
	}
	for _, v := range volumes {
		// The path is compared as well: it is removed with all its content.
		if v.Metadata.Annotations[provisionedBy] == driver && v.Status.Phase == "Released" &&
			v.Spec.PersistentVolumeReclaimPolicy == "Delete" && v.Spec.Local.Path == filepath.Join(dir, v.Metadata.Name) {
			released = append(released, v)
		}
	}
	return wanted, released
}

// waitsForVolume reports whether a claim of our class should get a volume now. Block devices and selectors are refused
// by leaving the claim pending.
func waitsForVolume(c volumeClaim, class storageClass) bool {
	return c.Spec.VolumeName == "" && c.Metadata.DeletionTimestamp == "" && c.Spec.Selector == nil &&
		c.Spec.VolumeMode != "Block" &&
		(class.VolumeBindingMode != waitForPod || c.Metadata.Annotations[selectedNode] == nodeName)
}

func volumeFor(c volumeClaim, class storageClass, dir string) volume {
	name := "pvc-" + c.Metadata.UID
	annotations := map[string]string{provisionedBy: driver}
	if class.Parameters[mediumKey] == memory {
		annotations[mediumKey] = memory
	}
	return volume{
		APIVersion: "v1", Kind: "PersistentVolume",
		Metadata: metadata{Name: name, Annotations: annotations},
		Spec: volumeSpec{
			StorageClassName:              c.Spec.StorageClassName,
			Capacity:                      map[string]string{"storage": c.Spec.Resources.Requests["storage"]},
			AccessModes:                   c.Spec.AccessModes,
			PersistentVolumeReclaimPolicy: class.ReclaimPolicy,
			ClaimRef: claimRef{
				APIVersion: "v1", Kind: "PersistentVolumeClaim",
				Namespace: c.Metadata.Namespace, Name: c.Metadata.Name, UID: c.Metadata.UID,
			},
			// local and not hostPath: only local volumes get the pod's fsGroup.
			Local: localFolder{Path: filepath.Join(dir, name)},
			NodeAffinity: object{"required": object{"nodeSelectorTerms": []object{{"matchExpressions": []object{{
				"key": "kubernetes.io/hostname", "operator": "In", "values": []string{nodeName},
			}}}}}},
		},
	}
}
