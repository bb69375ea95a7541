// Package admission accepts connections, decides which may continue, and evicts logins in progress when there is no place left.
//
// A connection asks for its [Place] when it is accepted, and behind a proxy again when its client is known. Cheap checks come
// first, and those that concern one source before those that concern all: allowed networks, penalties, the source's places, the
// places of all. From then on a place is kept through the login, until the connection's goroutine ends. Connections that hold
// places without logging in give them up to others.
package admission
