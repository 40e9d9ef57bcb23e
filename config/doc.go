// Package config is the one place where settings are described, read, checked, printed and documented.
//
// Every setting is one row of one table ([Load] walks it): its environment variables, its key in the YAML file, what it
// means, its default, what a value may be. The parser, the errors, [Config.Show] and [Doc] all come from these rows, so
// that none of them can go stale.
//
// The environment wins over the file and the file over the default. An empty variable is an unset one. All mistakes are
// found in one pass and returned together as [Problems], one line each. No value of a secret is ever part of an error or of
// what Show prints.
package config
