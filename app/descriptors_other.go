//go:build !unix

package app

// descriptorLimit is not known here.
func descriptorLimit() uint64 { return 0 }
