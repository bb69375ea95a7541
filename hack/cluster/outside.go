package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// outsideFolders are where the kubelet, containerd and CNI put things regardless of where their state is configured
// to be; the inner ones come first. Other programs on this machine may use them as well.
var outsideFolders = []string{
	"/run/containerd/s", "/run/containerd", // sockets of the containers' shims
	"/var/lib/cni/results", "/var/lib/cni", // CNI's cache
	"/var/lib/kubelet/device-plugins", "/var/lib/kubelet", // where device plugins register
	"/var/log/containers", // links to the pods' logs
}

// absentFolders returns the folders that do not exist, for removeOutside.
func absentFolders() []string {
	return slices.DeleteFunc(slices.Clone(outsideFolders), func(dir string) bool {
		_, err := os.Lstat(dir)
		return err == nil
	})
}

// removeOutside removes what the cluster's programs left outside the state folder, and those of the folders that did not exist
// before and are empty now: a containerd that was installed in the meantime keeps its own.
func removeOutside(s settings, old *state) error {
	files := shimSockets(s)
	files = append(files, logLinks(s)...)
	files = append(files, cniResults(s)...)

	var absent []string
	if old != nil {
		absent = old.Absent
	}
	if slices.Contains(absent, "/var/lib/kubelet") { // no other kubelet ran here
		files = append(files, "/var/lib/kubelet/device-plugins/kubelet.sock",
			"/var/lib/kubelet/device-plugins/kubelet_internal_checkpoint", "/var/lib/kubelet/device-plugins/DEPRECATION")
	}
	var errs []error
	for _, f := range files {
		if err := os.Remove(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	for _, dir := range outsideFolders {
		if !slices.Contains(absent, dir) {
			continue
		}
		err := syscall.Rmdir(dir)
		if err != nil && !errors.Is(err, syscall.ENOENT) && !errors.Is(err, syscall.ENOTEMPTY) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// shimSockets returns the sockets of the containers' shims: a shim that is killed does not remove its own.
func shimSockets(s settings) []string {
	files, _ := filepath.Glob(s.path("containerd", "state", "io.containerd.runtime.v2.task", "k8s.io", "*", "address"))
	var sockets []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		if path, ok := strings.CutPrefix(strings.TrimSpace(string(b)), "unix://"); err == nil && ok {
			sockets = append(sockets, path)
		}
	}
	return sockets
}

// cniResults returns what CNI remembers of pods whose network namespaces are in the state folder.
func cniResults(s settings) []string {
	results, _ := filepath.Glob("/var/lib/cni/results/*")
	return slices.DeleteFunc(results, func(r string) bool {
		b, err := os.ReadFile(r)
		return err != nil || !strings.Contains(string(b), `"`+s.Dir+"/")
	})
}

// logLinks returns the kubelet's links to the pods' logs; another kubelet's point elsewhere.
func logLinks(s settings) []string {
	links, _ := filepath.Glob("/var/log/containers/*.log")
	return slices.DeleteFunc(links, func(l string) bool {
		target, err := os.Readlink(l)
		return err != nil || !strings.HasPrefix(target, s.path("pod-logs")+"/")
	})
}
