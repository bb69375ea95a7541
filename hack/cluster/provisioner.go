package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
)

const (
	provisionerCommand = "provision-volumes"
	provisionerName    = "volume-provisioner"
)

// installProvisioner copies this program to the state folder: `go run` removes its own when it ends.
func installProvisioner(s settings) error {
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	return os.WriteFile(provisionerPath(s), self, 0o755)
}

func provisionerPath(s settings) string { return s.path("bin", provisionerName) }

func provisioner(s settings) program {
	return program{provisionerName, provisionerPath(s), []string{provisionerCommand, s.Dir}}
}

// provisionVolumes creates a volume for each claim that waits for one, and removes volumes whose claims are gone, until it is stopped.
func provisionVolumes(ctx context.Context, dir string) error {
	cluster, err := readState(settings{Dir: dir})
	if err != nil || cluster == nil {
		return fmt.Errorf("no cluster in %s: %w", dir, err)
	}
	s := cluster.Settings
	api, err := newAPI(s)
	if err != nil {
		return err
	}
	// Three small lists from the API server's cache are simpler than a watch, and their cost is negligible.
	for ctx.Err() == nil {
		pause := 300 * time.Millisecond
		if err := reconcileVolumes(ctx, s, api); err != nil {
			say("%v", err)
			pause = 2 * time.Second
		}
		time.Sleep(pause)
	}
	return nil
}

// reconcileVolumes brings the volumes in line with the claims once.
func reconcileVolumes(ctx context.Context, s settings, api *api) error {
	var classes list[storageClass]
	var claims list[volumeClaim]
	var volumes list[volume]
	if err := errors.Join(
		api.get(ctx, "/apis/storage.k8s.io/v1/storageclasses", &classes),
		api.get(ctx, "/api/v1/persistentvolumeclaims", &claims),
		api.get(ctx, "/api/v1/persistentvolumes", &volumes),
	); err != nil {
		return err
	}
	wanted, released := plan(classes.Items, claims.Items, volumes.Items, s.path("volumes"))
	var errs []error
	for _, v := range wanted {
		errs = append(errs, makeVolume(ctx, api, v))
	}
	for _, v := range released {
		errs = append(errs, deleteVolume(ctx, api, v))
	}
	return errors.Join(errs...)
}

// makeVolume creates the folder and then the volume. The folder belongs to root with mode 0755, like a new disk's: pods get
// access through fsGroup, and one that lacks it fails here as it would elsewhere.
func makeVolume(ctx context.Context, api *api, v volume) error {
	if err := os.MkdirAll(v.Spec.Local.Path, 0o755); err != nil {
		return err
	}
	if v.Metadata.Annotations[mediumKey] == memory {
		if err := mountMemory(v.Spec.Local.Path, v.Spec.Capacity["storage"]); err != nil {
			return err
		}
	}
	if err := api.create(ctx, "/api/v1/persistentvolumes", v); err != nil {
		return fmt.Errorf("create volume %s: %w", v.Metadata.Name, err)
	}
	say("volume %s for %s/%s", v.Metadata.Name, v.Spec.ClaimRef.Namespace, v.Spec.ClaimRef.Name)
	return nil
}

// mountMemory mounts an in-memory file system of the given size on a folder, unless something is mounted there.
func mountMemory(folder, size string) error {
	bytes, err := resource.ParseQuantity(size)
	if err != nil {
		return fmt.Errorf("size %q of %s: %w", size, folder, err)
	}
	mounted, err := isMounted(folder)
	if err != nil || mounted {
		return err
	}
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0755", bytes.Value())); err != nil {
		return fmt.Errorf("mount a tmpfs on %s: %w", folder, err)
	}
	return nil
}

// deleteVolume removes the data and then the volume: after a crash in between, the next round finds it again.
func deleteVolume(ctx context.Context, api *api, v volume) error {
	if mounted, err := isMounted(v.Spec.Local.Path); err != nil {
		return err
	} else if mounted {
		if err := syscall.Unmount(v.Spec.Local.Path, syscall.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount %s: %w", v.Spec.Local.Path, err)
		}
	}
	if err := os.RemoveAll(v.Spec.Local.Path); err != nil {
		return err
	}
	err := api.call(ctx, http.MethodDelete, "/api/v1/persistentvolumes/"+v.Metadata.Name, nil, nil)
	if err != nil && !hasCode(err, http.StatusNotFound) {
		return fmt.Errorf("delete volume %s: %w", v.Metadata.Name, err)
	}
	say("deleted volume %s", v.Metadata.Name)
	return nil
}
