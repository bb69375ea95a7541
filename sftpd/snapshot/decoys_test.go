package snapshot_test

import (
	"fmt"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/password"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

const bcryptHash = "$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2"

// costs counts the costs of verifications for unknown names.
func costs(s *snapshot.Snapshot) map[string]int {
	out := map[string]int{}
	for i := range 4000 {
		out[s.Decoy(fmt.Sprintf("nobody%d", i)).Cost()]++
	}
	return out
}

// TestDecoys: unknown names have the same costs as users, in the same proportions, and each name always has the same cost.
func TestDecoys(t *testing.T) {
	usual := password.Decoy().Cost()
	dir := configtest.New(t)
	s, err := build(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := costs(s); got[usual] != 4000 {
		t.Errorf("without any password: %v", got)
	}

	for i := range 3 {
		dir.AddUser(fmt.Sprintf("moved%d", i), "").Password = &config.Password{Hash: bcryptHash}
	}
	if s, err = build(t, dir); err != nil {
		t.Fatal(err)
	}
	if got := costs(s); got["bcrypt,5"] != 4000 {
		t.Errorf("with bcrypt alone: %v", got)
	}

	dir.AddUser("new", "secret")
	if s, err = build(t, dir); err != nil {
		t.Fatal(err)
	}
	// 3,000 with a standard deviation of 27.
	if got := costs(s); got["bcrypt,5"] < 2800 || got["bcrypt,5"] > 3200 || got["bcrypt,5"]+got[usual] != 4000 {
		t.Errorf("with three of bcrypt and one of argon2id: %v", got)
	}

	another, err := build(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	_, dir.HostKeys[0] = configtest.Key(t)
	elsewhere, err := build(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	differ := 0
	for i := range 1000 {
		name := fmt.Sprintf("nobody%d", i)
		if s.Decoy(name).Cost() != another.Decoy(name).Cost() {
			t.Fatalf("%s costs something else after a restart", name)
		}
		if s.Decoy(name).Cost() != elsewhere.Decoy(name).Cost() {
			differ++
		}
	}
	if differ == 0 {
		t.Error("what names cost can be computed without the endpoint's secret")
	}
}
