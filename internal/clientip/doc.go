// Package clientip finds out who a connection comes from when others stand in between: proxies that write it into a header of each
// request ([Proxies]), or before everything else of a connection ([ParseHeader], the PROXY protocol). What they say is believed only
// if they are configured: anybody can write such a header.
package clientip
