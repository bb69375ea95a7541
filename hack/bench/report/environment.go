package report

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
)

// Environment describes where a run was made.
type Environment struct {
	CPU    string `json:"cpu"`
	CPUs   int    `json:"cpus"`
	Memory int64  `json:"memoryMiB"`
	Kernel string `json:"kernel"`
	System string `json:"system"`
	Go     string `json:"go"`
	Client string `json:"client"`
	Commit string `json:"commit"`
}

// ReadEnvironment describes this machine.
func ReadEnvironment() Environment {
	e := Environment{
		CPU:    field("/proc/cpuinfo", "model name", ":"),
		CPUs:   runtime.NumCPU(),
		System: strings.Trim(field("/etc/os-release", "PRETTY_NAME", "="), `"`),
		Go:     runtime.Version(),
		Commit: output("git", "describe", "--always", "--dirty"),
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	e.Kernel = strings.TrimSpace(string(kernel))
	var info syscall.Sysinfo_t
	if syscall.Sysinfo(&info) == nil {
		e.Memory = int64(info.Totalram) * int64(info.Unit) >> 20
	}
	e.Client, _, _ = strings.Cut(output("ssh", "-V"), ",")
	return e
}

// field returns the value of the first line of a file with a name.
func field(file, name, separator string) string {
	content, _ := os.ReadFile(file)
	for line := range strings.Lines(string(content)) {
		if key, value, ok := strings.Cut(line, separator); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func output(program string, args ...string) string {
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
