package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/hack/bench/client"
	"github.com/sftp-operator/sftp-operator/hack/bench/report"
	"github.com/sftp-operator/sftp-operator/hack/bench/servers"
)

// logins measures logins one after another, from connect to disconnect, without a session.
func (b *bench) logins() []workload {
	exchange := func(id, title, algorithm string) workload {
		return b.login(id, title, func(s *servers.Server) (client.Options, error) {
			o := s.Options()
			o.Exchanges = []string{algorithm}
			return o, nil
		})
	}
	password := b.login("login-password", "password, as each server hashes it", func(s *servers.Server) (client.Options, error) {
		if s.Password == "" {
			return client.Options{}, fmt.Errorf("%w: no password given", client.ErrUnsupported)
		}
		o := s.Options()
		o.Exchanges = []string{ssh.KeyExchangeCurve25519}
		o.Auth = ssh.Password(s.Password)
		return o, nil
	})
	return []workload{
		exchange("login-curve25519", "Ed25519 key, curve25519", ssh.KeyExchangeCurve25519),
		exchange("login-mlkem768x25519", "Ed25519 key, mlkem768x25519", ssh.KeyExchangeMLKEM768X25519),
		password,
	}
}

func (b *bench) login(id, title string, options func(*servers.Server) (client.Options, error)) workload {
	return workload{
		id: id, title: title, amount: float64(b.sizes.logins), unit: "login",
		run: func(ctx context.Context, s *servers.Server) (values, error) {
			ctx, cancel := context.WithTimeout(ctx, workLimit)
			defer cancel()
			o, err := options(s)
			if err != nil {
				return nil, err
			}
			o.Idle = true
			u, err := measure(s, func() error {
				for range b.sizes.logins {
					c, err := client.Dial(ctx, o)
					if err != nil {
						return err
					}
					if err := c.Close(); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return nil, err
			}
			return values{report.CPUPerLogin: u.cpu.Seconds() * 1000 / float64(b.sizes.logins)}, nil
		},
	}
}

// idleSessions measures the memory of servers without earlier sessions.
func (b *bench) idleSessions() []workload {
	var all []workload
	for _, n := range b.idle {
		all = append(all, workload{
			id: fmt.Sprintf("idle-%d", n), title: report.Fixed(float64(n), 0) + " at once", once: true,
			run: func(ctx context.Context, s *servers.Server) (values, error) { return b.idleMemory(ctx, s, n) },
		})
	}
	return all
}

func (b *bench) idleMemory(ctx context.Context, s *servers.Server, n int) (values, error) {
	if s.MaxIdle > 0 && n > s.MaxIdle {
		return nil, fmt.Errorf("%w: limited to %d sessions", client.ErrUnsupported, s.MaxIdle)
	}
	if err := s.Restart(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, workLimit)
	defer cancel()
	before, _, err := s.Group.PSS()
	if err != nil {
		return nil, err
	}
	o := s.Options()
	o.Idle = true
	_, end, err := openAll(ctx, o, n)
	defer end()
	if err != nil {
		return nil, err
	}
	if _, err := s.Group.Settled(settle); err != nil {
		return nil, err
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(b.rest):
	}
	after, processes, err := s.Group.PSS()
	if err != nil {
		return nil, err
	}
	return values{
		report.PSSPerSession: float64(after-before) / float64(n) / 1024,
		report.PSSTotal:      float64(after) / mib,
		report.Processes:     float64(processes),
	}, nil
}
