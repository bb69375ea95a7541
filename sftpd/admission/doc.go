// Package admission accepts connections, decides who may connect, and who has to go when there is no place left.
//
// A connection asks for its [Place] when it is accepted, and again behind a proxy when its client is known. The cheapest
// comes first, and what one source does to itself before what concerns all: networks that are allowed, penalties, places of
// the source, places of all. A place is kept from then on, through the login, until the connection's goroutine ends. Who
// holds places without logging in gives them up to others.
package admission
