// Package process starts the programs that are measured, or broken on purpose, and reads what they cost: CPU time to the
// nanosecond, memory, open descriptors.
package process
