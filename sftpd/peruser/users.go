package peruser

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Users holds the accounts of users with connections.
type Users struct {
	turns turns

	mu       sync.Mutex
	accounts map[string]*Account
	clearAt  int // number of accounts at which unused ones are removed
}

// New returns an empty Users. Half of the processors are for work that is bounded by turns; the others are for logins,
// transfers and the health port. Go polls the network only when a processor is idle, or every 10 ms.
func New() *Users {
	return &Users{
		turns: turns{free: max(1, runtime.GOMAXPROCS(0)/2), users: map[string][]*Account{}}, accounts: map[string]*Account{}, clearAt: minClear,
	}
}

// minClear keeps small maps from being scanned repeatedly.
const minClear = 64

// Account is the account of one user.
type Account struct {
	// Unread is how many bytes the user's connections have received on the wire and not read from a channel.
	Unread atomic.Int64

	users       *Users
	namespace   string
	connections int             // guarded by users.mu
	queue       []chan struct{} // guarded by users.turns.mu
	log         pace
}

// Join returns the account of a user of a namespace for a new connection. Leave has to follow.
func (u *Users) Join(uid, namespace string) *Account {
	u.mu.Lock()
	defer u.mu.Unlock()
	a := u.accounts[uid]
	if a == nil {
		u.clear()
		a = &Account{users: u, namespace: namespace}
		u.accounts[uid] = a
	}
	a.connections++
	return a
}

// Leave must be called at the end of a connection. The account stays until its allowance has recovered: otherwise logging in
// again would grant another burst.
func (a *Account) Leave() {
	a.users.mu.Lock()
	defer a.users.mu.Unlock()
	a.connections--
}

// clear removes accounts whose allowance has recovered, when there are twice as many accounts as after the last
// clearing.
func (u *Users) clear() {
	if len(u.accounts) < u.clearAt {
		return
	}
	now := time.Now()
	for uid, a := range u.accounts {
		if a.connections == 0 && a.log.full(now) {
			delete(u.accounts, uid)
		}
	}
	u.clearAt = max(minClear, 2*len(u.accounts))
}
