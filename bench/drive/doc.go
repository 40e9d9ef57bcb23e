// Package drive plays a crowd of kitchen screens. One process holds up to 18,000 WebSocket connections in one epoll loop
// and checks each message that arrives: its latency, and by its mark whether it is the next one of the right tenant.
//
// There is no goroutine, no buffer and no parser state for a connection that is idle, and no JSON is read, because driver
// and server share the same processors: a driver that costs more than the server shows its own figures.
//
// Most screens are pages of the existing app, which listen. Those of [V1] speak kentongan.v1: their lines are cut, they come back and
// resume, and what they were told of positions and gaps is held against what arrives. Three more manners are attackers.
//
// [Run] is the crowd, in a process of its own; [Fleet] is the other side, which starts such processes and tells them in
// lines of JSON what to do.
package drive
