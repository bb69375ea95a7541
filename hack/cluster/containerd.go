package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"text/template"
)

// containerdConfig is for containerd 1.6 and later: 2.x also reads version 2. Every path is in the state folder.
var containerdConfig = template.Must(template.New("containerd").Parse(`version = 2
root = "{{.Dir}}/containerd/root"
state = "{{.Dir}}/containerd/state"
oom_score = 0

[grpc]
  address = "{{.Dir}}/containerd/containerd.sock"

[plugins."io.containerd.internal.v1.opt"]
  path = "{{.Dir}}/containerd/opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{{.PauseImage}}"
  # Without it, network namespaces are mounted in /var/run/netns, which other programs also use.
  netns_mounts_under_state_dir = true
  # Without CAP_SYS_RESOURCE no oom_score_adj can be lowered, and runc fails with "can't get final child's PID".
  restrict_oom_score_adj = {{.RestrictOOM}}

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{{.CNIFolder}}"
  conf_dir = "{{.Dir}}/cni"

[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "{{.Snapshotter}}"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  Root = "{{.Dir}}/containerd/runc"
  SystemdCgroup = false
`))

type containerdValues struct {
	Dir, PauseImage, CNIFolder, Snapshotter string
	RestrictOOM                             bool
}

func writeContainerdConfig(s settings) error {
	if err := os.MkdirAll(s.path("containerd"), 0o711); err != nil {
		return err
	}
	procStatus, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	const capSysResource = 24
	var text strings.Builder
	if err := containerdConfig.Execute(&text, containerdValues{
		Dir:         s.Dir,
		PauseImage:  pauseImage,
		CNIFolder:   cniFolder(),
		Snapshotter: snapshotter(s.Dir),
		RestrictOOM: !hasCapability(string(procStatus), capSysResource),
	}); err != nil {
		return err
	}
	return os.WriteFile(s.path("containerd", "config.toml"), []byte(text.String()), 0o644)
}

// snapshotter returns overlayfs, or native where the file system of the state folder does not support overlays.
func snapshotter(dir string) string {
	const overlay = 0x794c7630
	var fs syscall.Statfs_t
	if syscall.Statfs(dir, &fs) == nil && fs.Type == overlay {
		return "native"
	}
	kinds, err := os.ReadFile("/proc/filesystems")
	if err == nil && !strings.Contains(string(kinds), "\toverlay\n") {
		return "native"
	}
	return "overlayfs"
}

func containerd(s settings) program {
	return program{"containerd", find("containerd"), []string{"--config", s.path("containerd", "config.toml")}}
}

// startContainerd starts it and waits until it answers.
func startContainerd(ctx context.Context, s settings) (process, error) {
	p, err := start(s, containerd(s))
	if err != nil {
		return p, err
	}
	return p, waitFor(ctx, s, "containerd", []process{p}, func(ctx context.Context) error {
		_, err := ctr(ctx, s, "version")
		return err
	})
}

// ctr runs containerd's client in the namespace that the kubelet's images and containers are in.
func ctr(ctx context.Context, s settings, args ...string) (string, error) {
	if _, err := os.Stat(s.containerdSocket()); err != nil {
		return "", fmt.Errorf("containerd is not running (%s does not exist): run up first", s.containerdSocket())
	}
	return output(ctx, "", "ctr", append([]string{"--address", s.containerdSocket(), "--namespace", "k8s.io"}, args...)...)
}
