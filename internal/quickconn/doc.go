// Package quickconn makes connections whose reads and writes do not tell Go's scheduler that they enter the kernel, for they
// never wait there: see package rawsys for what that saves. Everything else about them, deadlines and errors included, is as net has
// it. It is for the few connections over which every message comes or goes, so each is a door to which
// who works for long gives way (package giveway).
package quickconn
