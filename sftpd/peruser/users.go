package peruser

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Users are the accounts of those who have connections.
type Users struct {
	turns turns

	mu       sync.Mutex
	accounts map[string]*Account
	clearAt  int // accounts at which those without use are removed
}

// New returns an empty Users. Half of the processors do the work that is bounded by turns: the others are for logins,
// transfers and the health port. Go looks at the network only when a processor has nothing to do, or every 10 ms.
func New() *Users {
	return &Users{
		turns: turns{free: max(1, runtime.GOMAXPROCS(0)/2)}, accounts: map[string]*Account{}, clearAt: minClear,
	}
}

// minClear keeps small maps from being searched again and again.
const minClear = 64

// Account is one user's.
type Account struct {
	// Unread is how many bytes have come on the wire of the user's connections and have not been read from a channel.
	Unread atomic.Int64

	users       *Users
	connections int             // guarded by users.mu
	queue       []chan struct{} // guarded by users.turns.mu
	log         pace
}

// Join returns the account of a user for a new connection. Leave has to follow.
func (u *Users) Join(uid string) *Account {
	u.mu.Lock()
	defer u.mu.Unlock()
	a := u.accounts[uid]
	if a == nil {
		u.clear()
		a = &Account{users: u}
		u.accounts[uid] = a
	}
	a.connections++
	return a
}

// Leave is the end of a connection. The account stays until it is as good as new: otherwise whoever has used up the pace would
// have another burst after logging in again.
func (a *Account) Leave() {
	a.users.mu.Lock()
	defer a.users.mu.Unlock()
	a.connections--
}

// clear removes accounts that are as good as new, when there are twice as many as after the last time.
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
