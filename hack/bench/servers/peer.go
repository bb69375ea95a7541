package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/hack/bench/cgroup"
)

// Peers prepares servers that run elsewhere, from words separated by spaces, each of the form
//
//	LABEL=HOST:PORT=CGROUP,user=NAME,key=FILE,root=DIRECTORY[,remote=PATH][,password=WORD,hash=NAME][,restart=PROGRAM]
//
// CGROUP is an absolute directory below /sys/fs/cgroup, root what the user sees as remote ("/" unless given). The program
// restart, if there is one, runs before each group of measurements.
func Peers(p *Place, text string) ([]*Server, error) {
	var peers []*Server
	for word := range strings.FieldsSeq(text) {
		parsed, err := parsePeer(word)
		if err != nil {
			return nil, fmt.Errorf("PEERS: %s: %w", word, err)
		}
		s, err := parsed.open(p)
		if err != nil {
			return nil, fmt.Errorf("PEERS: %s: %w", parsed.Label, err)
		}
		peers = append(peers, s)
	}
	return peers, nil
}

// peer is a Server with settings that are not used yet.
type peer struct {
	*Server
	group, restart string
}

func parsePeer(word string) (*peer, error) {
	settings := strings.Split(word, ",")
	main := strings.Split(settings[0], "=")
	if len(main) != 3 {
		return nil, errors.New("must begin with LABEL=HOST:PORT=CGROUP")
	}
	s := &peer{Server: &Server{Label: main[0], Addr: main[1], Remote: "/", PasswordHash: "password"}, group: main[2]}
	for _, setting := range settings[1:] {
		name, value, _ := strings.Cut(setting, "=")
		target, ok := map[string]*string{
			"user": &s.User, "key": &s.KeyFile, "root": &s.Root, "remote": &s.Remote,
			"password": &s.Password, "hash": &s.PasswordHash, "restart": &s.restart,
		}[name]
		if !ok || value == "" {
			return nil, fmt.Errorf("unknown setting %q", setting)
		}
		*target = value
	}
	if s.Label == "" || s.User == "" || s.KeyFile == "" || s.Root == "" {
		return nil, errors.New("a label, user=, key= and root= are required")
	}
	return s, nil
}

func (s *peer) open(p *Place) (*Server, error) {
	key, err := os.ReadFile(s.KeyFile)
	if err != nil {
		return nil, err
	}
	if s.Key, err = ssh.ParsePrivateKey(key); err != nil {
		return nil, fmt.Errorf("%s: %w", s.KeyFile, err)
	}
	if s.Group, err = cgroup.Open(s.group); err != nil {
		return nil, err
	}
	if s.restart != "" {
		s.start = func(ctx context.Context) error {
			out, err := exec.CommandContext(ctx, s.restart).CombinedOutput()
			if err != nil {
				return fmt.Errorf("%s: %w\n%s", s.restart, err, out)
			}
			return nil
		}
	}
	s.knownHosts = p.path(s.Label + ".known_hosts")
	return s.Server, nil
}
