package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// allowed are the licences, by their SPDX names, of what may be in the program: those that ask for no more than that their text is handed
// on, so that whoever builds a product with this one has nothing to publish.
var allowed = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT"}

// phrases tell a licence by words that stand in no other one of the list; the first that fit decide. All spaces count as one.
var phrases = []struct {
	name  string
	words []string
}{
	{"Apache-2.0", []string{"Apache License", "Version 2.0, January 2004"}},
	{"CC0-1.0", []string{"CC0 1.0 Universal", "CREATIVE COMMONS CORPORATION"}},
	{"MPL-2.0", []string{"Mozilla Public License Version 2.0"}},
	{"AGPL-3.0", []string{"GNU AFFERO GENERAL PUBLIC LICENSE"}},
	{"LGPL", []string{"GNU LESSER GENERAL PUBLIC LICENSE"}},
	{"GPL", []string{"GNU GENERAL PUBLIC LICENSE"}},
	{"BSD-3-Clause", []string{"Redistribution and use in source and binary forms", "may be used to endorse or promote products"}},
	{"BSD-2-Clause", []string{"Redistribution and use in source and binary forms"}},
	{"ISC", []string{"Permission to use, copy, modify, and", "distribute this software for any purpose with or without fee"}},
	{"MIT", []string{"Permission is hereby granted, free of charge, to any person obtaining a copy"}},
}

// classify returns the SPDX name of a licence text; "" if it is none that is known.
func classify(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	for _, p := range phrases {
		if !slices.ContainsFunc(p.words, func(w string) bool { return !strings.Contains(text, w) }) {
			return p.name
		}
	}
	return ""
}

// module is one that is in the program.
type module struct{ path, version, dir, licence string }

// modules returns what is in the program, in the order of the paths, with the licences that stand in the modules.
func modules(ctx context.Context, root string) ([]module, error) {
	command := exec.CommandContext(ctx, "go", "list", "-deps", "-f",
		"{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Version}}\t{{.Dir}}{{end}}{{end}}", "./cmd/kentongan")
	command.Dir = root
	text, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var all []module
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if len(fields) != 3 || slices.ContainsFunc(all, func(m module) bool { return m.path == fields[0] }) {
			continue
		}
		m := module{path: fields[0], version: fields[1], dir: fields[2]}
		if m.licence, err = licenceIn(m.dir); err != nil {
			return nil, fmt.Errorf("licence of %s: %w", m.path, err)
		}
		all = append(all, m)
	}
	if len(all) == 0 {
		return nil, errors.New("go list names no modules")
	}
	slices.SortFunc(all, func(a, b module) int { return strings.Compare(a.path, b.path) })
	return all, nil
}

// licenceIn reads the licence of a module: LICENSE, LICENCE or COPYING, of whatever spelling.
func licenceIn(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err //nolint:wrapcheck // the caller does
	}
	var seen []string
	for _, e := range entries {
		name := strings.ToUpper(e.Name())
		if e.IsDir() || !strings.HasPrefix(name, "LICENSE") && !strings.HasPrefix(name, "LICENCE") && !strings.HasPrefix(name, "COPYING") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return "", err //nolint:wrapcheck // as above
		}
		if licence := classify(string(text)); licence != "" {
			return licence, nil
		}
		seen = append(seen, e.Name())
	}
	return "", fmt.Errorf("none that is known in %s (looked at %q)", dir, seen)
}

// listLicences prints who has which, and fails on what is not allowed.
func listLicences(ctx context.Context, root string, out io.Writer) error {
	all, err := modules(ctx, root)
	if err != nil {
		return err
	}
	var bad []error
	for _, m := range all {
		if _, err := fmt.Fprintf(out, "%-13s %s %s\n", m.licence, m.path, m.version); err != nil {
			return err //nolint:wrapcheck // of the terminal
		}
		if !slices.Contains(allowed, m.licence) {
			bad = append(bad, fmt.Errorf("%s is under %s; allowed are %s", m.path, m.licence, strings.Join(allowed, ", ")))
		}
	}
	packages, err := bundled(root)
	if err != nil {
		return err
	}
	for _, p := range packages {
		if _, err := fmt.Fprintf(out, "%-13s npm %s %s\n", p.licence, p.name, p.version); err != nil {
			return err //nolint:wrapcheck // as above
		}
		if !slices.Contains(allowed, p.licence) {
			bad = append(bad, fmt.Errorf("npm %s is under %s; allowed are %s", p.name, p.licence, strings.Join(allowed, ", ")))
		}
	}
	return errors.Join(bad...)
}
