package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// npmPackage is one whose code is in the pages that the program holds.
type npmPackage struct {
	name, version, licence string
	sha512                 string // of what the registry hands out, in hex
}

var imports = regexp.MustCompile(`(?m)(?:from|import)\s+"([^."][^"]*)"`)

// bundled returns the packages that the sources of the pages import. What they import in turn would have to be listed as well: none has a
// dependency now, and one that gets some is an error here.
func bundled(root string) ([]npmPackage, error) {
	text, err := os.ReadFile(filepath.Join(root, "web", "package-lock.json"))
	if err != nil {
		return nil, err //nolint:wrapcheck // it says all
	}
	var lock struct {
		Packages map[string]struct {
			Version, License, Integrity string
			Dependencies                map[string]string
		}
	}
	if err := json.Unmarshal(text, &lock); err != nil {
		return nil, fmt.Errorf("web/package-lock.json: %w", err)
	}
	names, err := imported(filepath.Join(root, "web", "board"), filepath.Join(root, "web", "live"))
	if err != nil {
		return nil, err
	}
	var all []npmPackage
	for _, name := range names {
		locked, ok := lock.Packages["node_modules/"+name]
		if !ok || len(locked.Dependencies) > 0 {
			return nil, fmt.Errorf("npm package %s: want one in web/package-lock.json, without dependencies", name)
		}
		digest, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(locked.Integrity, "sha512-"))
		if err != nil || len(digest) != 64 {
			return nil, fmt.Errorf("npm package %s: its integrity is no SHA-512", name)
		}
		all = append(all, npmPackage{name, locked.Version, locked.License, hex.EncodeToString(digest)})
	}
	return all, nil
}

// imported returns the names of the packages that sources below dirs import, in order.
func imported(dirs ...string) ([]string, error) {
	var names []string
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || strings.Contains(path, ".test.") || filepath.Ext(path) != ".ts" && filepath.Ext(path) != ".tsx" {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err //nolint:wrapcheck // it says all
			}
			for _, m := range imports.FindAllStringSubmatch(string(text), -1) {
				if name := packageOf(m[1]); !strings.HasPrefix(m[1], "node:") && !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
			return nil
		})
		if err != nil {
			return nil, err //nolint:wrapcheck // as above
		}
	}
	slices.Sort(names)
	return names, nil
}

// packageOf cuts the path behind the name of a package: "preact/hooks" is of "preact".
func packageOf(path string) string {
	parts := strings.Split(path, "/")
	if strings.HasPrefix(path, "@") && len(parts) > 1 {
		return parts[0] + "/" + parts[1]
	}
	return parts[0]
}
