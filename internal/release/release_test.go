package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const root = "../.."

// TestLicences checks those of everything that is in the program: it fails when one comes in that asks for more.
func TestLicences(t *testing.T) {
	var out bytes.Buffer
	if err := listLicences(context.Background(), root, &out); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"MIT           go.yaml.in/yaml/v3", "BSD-3-Clause  modernc.org/sqlite", "Apache-2.0    github.com/redis/rueidis", "npm preact"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestClassify(t *testing.T) {
	bsd := "Redistribution and use in source and binary forms, with or\n without modification"
	for text, want := range map[string]string{
		"                 Apache License\n           Version 2.0, January 2004":         "Apache-2.0",
		"Permission is hereby granted, free of charge, to any\nperson obtaining a copy": "MIT",
		bsd: "BSD-2-Clause", bsd + " … may be used to endorse or promote products": "BSD-3-Clause",
		"GNU AFFERO GENERAL PUBLIC LICENSE\nVersion 3": "AGPL-3.0", "GNU LESSER GENERAL PUBLIC LICENSE": "LGPL", "GNU GENERAL PUBLIC LICENSE": "GPL",
		"CC0 1.0 Universal\n\nCREATIVE COMMONS CORPORATION IS NOT A LAW FIRM": "CC0-1.0",
		"Mozilla Public License Version 2.0":                                  "MPL-2.0", "All rights reserved.": "", "": "",
	} {
		if got := classify(text); got != want {
			t.Errorf("%.40q is %q, want %q", text, got, want)
		}
	}
	for _, strict := range []string{"AGPL-3.0", "GPL", "LGPL", "MPL-2.0", ""} {
		if slices.Contains(allowed, strict) {
			t.Errorf("%q is allowed", strict)
		}
	}
	if _, err := licenceIn(t.TempDir()); err == nil {
		t.Error("a module without a licence is taken")
	}
}

// sample is a release of a tree that needs no building: its program is some bytes.
func sample(t *testing.T) (r release, tree, program string) {
	t.Helper()
	tree = t.TempDir()
	for _, name := range extras {
		file := filepath.Join(tree, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o750), os.WriteFile(file, []byte(name), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	program = filepath.Join(tree, "program")
	if err := os.WriteFile(program, []byte("\x7fELF"), 0o600); err != nil {
		t.Fatal(err)
	}
	return release{version: "v1", commit: "c", time: time.Unix(1_795_000_000, 0).UTC()}, tree, program
}

// TestArchiveHasNothingOfThisMachine packs the same files twice, as others and at another time.
func TestArchiveHasNothingOfThisMachine(t *testing.T) {
	var packed [][]byte
	for n := range 2 {
		r, tree, program := sample(t)
		later := time.Now().Add(time.Duration(n) * time.Hour)
		if err := errors.Join(os.Chtimes(program, later, later), os.Chmod(program, os.FileMode(0o600+n*0o077))); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "a.tar.gz")
		if err := r.archive(tree, program, file, "kentongan_v1"); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		packed = append(packed, data)
	}
	if !bytes.Equal(packed[0], packed[1]) {
		t.Error("the same files make different archives")
	}
	zipped, err := gzip.NewReader(bytes.NewReader(packed[0]))
	if err != nil {
		t.Fatal(err)
	}
	if !zipped.ModTime.IsZero() || zipped.Name != "" {
		t.Errorf("gzip holds the time %v and the name %q", zipped.ModTime, zipped.Name)
	}
	var names []string
	for entries := tar.NewReader(zipped); ; {
		h, err := entries.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
		if h.Uid != 0 || h.Uname != "" || h.ModTime.Unix() != 1_795_000_000 || h.Mode != 0o644 && h.Name != "kentongan_v1/kentongan" {
			t.Errorf("entry %+v", h)
		}
	}
	if !slices.IsSorted(names) || len(names) != len(extras)+1 {
		t.Errorf("the entries are %q", names)
	}
}

func TestSums(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"kentongan_b", "kentongan_a"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	got, err := writeSums(dir)
	if want := empty + "  kentongan_a\n" + empty + "  kentongan_b\n"; err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if err := emptyDir(dir); err != nil {
		t.Errorf("what a release made is not removed: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "thesis.doc"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := emptyDir(dir); err == nil {
		t.Error("a folder with something else in it is taken")
	}
}

// TestBillOfMaterials describes this test's own program, which has fewer modules than the server, and pages with npm packages.
func TestBillOfMaterials(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "b.json")
	r := release{version: "v1", time: time.Unix(1_795_000_000, 0).UTC()}
	if err := r.billOfMaterials(context.Background(), root, program, file); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var doc bom
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	refs := map[string]bool{}
	for _, c := range doc.Components {
		if refs[c.Ref] || c.Ref == "" || c.Version == "" || len(c.Licenses) != 1 || !slices.Contains(allowed, c.Licenses[0].License.ID) {
			t.Errorf("component %+v", c)
		}
		refs[c.Ref] = true
	}
	for _, ref := range doc.Depends[0].On {
		if !refs[ref] {
			t.Errorf("%s is depended on and not described", ref)
		}
	}
	if doc.Format != "CycloneDX" || doc.Metadata.Timestamp != r.time.Format(time.RFC3339) || !strings.Contains(string(text), `"pkg:npm/preact@`) {
		t.Errorf("%.600s", text)
	}
}

func TestReadRelease(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1795000000")
	r, err := readRelease(context.Background(), root, "v1.2.3")
	if err != nil || r.version != "v1.2.3" || len(r.commit) != 40 || r.time.Unix() != 1_795_000_000 {
		t.Errorf("got %+v, %v", r, err)
	}
	if _, err := readRelease(context.Background(), root, "a/b"); err == nil {
		t.Error("a version with a slash is taken")
	}
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	if _, err := readRelease(context.Background(), root, "v1"); err == nil {
		t.Error("SOURCE_DATE_EPOCH in words is taken")
	}
}
