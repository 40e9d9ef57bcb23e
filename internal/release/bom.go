package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

// The parts of a CycloneDX 1.6 document that we write. https://cyclonedx.org/docs/1.6/json/
type bom struct {
	Format      string      `json:"bomFormat"`
	SpecVersion string      `json:"specVersion"`
	Version     int         `json:"version"`
	Metadata    metadata    `json:"metadata"`
	Components  []component `json:"components"`
	Depends     []depends   `json:"dependencies"`
}

type metadata struct {
	Timestamp string    `json:"timestamp"`
	Component component `json:"component"`
}

type component struct {
	Type     string          `json:"type"`
	Ref      string          `json:"bom-ref"`
	Name     string          `json:"name"`
	Version  string          `json:"version"`
	Purl     string          `json:"purl,omitempty"`
	Licenses []licenceChoice `json:"licenses,omitempty"`
	Hashes   []hash          `json:"hashes,omitempty"`
}

type licenceChoice struct {
	License licenceID `json:"license"`
}

type licenceID struct {
	ID string `json:"id"`
}

type hash struct {
	Alg     string `json:"alg"`
	Content string `json:"content"`
}

type depends struct {
	Ref string   `json:"ref"`
	On  []string `json:"dependsOn"`
}

// billOfMaterials writes what the program is made of: the modules that the Go command wrote into it, Go's own library, and the npm
// packages in its pages. The licences are those that stand in the modules.
func (r release) billOfMaterials(ctx context.Context, root, program, file string) error {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return fmt.Errorf("read what is in the program: %w", err)
	}
	known, err := modules(ctx, root)
	if err != nil {
		return err
	}
	packages, err := bundled(root)
	if err != nil {
		return err
	}
	sum, err := sumOf(program)
	if err != nil {
		return err
	}
	licences := map[string]string{}
	for _, m := range known {
		licences[m.path] = m.licence
	}
	doc := bom{
		Format: "CycloneDX", SpecVersion: "1.6", Version: 1,
		Metadata: metadata{r.time.Format(time.RFC3339), component{
			Type: "application", Ref: "kentongan", Name: "kentongan", Version: r.version, Licenses: under("Apache-2.0"),
			Hashes: []hash{{"SHA-256", sum}},
		}},
	}
	add := func(c component) {
		c.Ref = c.Purl
		doc.Components = append(doc.Components, c)
	}
	goVersion := strings.TrimPrefix(info.GoVersion, "go")
	add(component{Type: "library", Name: "std", Version: goVersion, Purl: "pkg:golang/std@" + goVersion, Licenses: under("BSD-3-Clause")})
	for _, m := range info.Deps {
		licence := licences[m.Path]
		if licence == "" {
			return fmt.Errorf("%s is in the program, and go list does not know it", m.Path)
		}
		purl := "pkg:golang/" + m.Path + "@" + m.Version
		add(component{Type: "library", Name: m.Path, Version: m.Version, Purl: purl, Licenses: under(licence)})
	}
	for _, p := range packages {
		add(component{Type: "library", Name: p.name, Version: p.version, Licenses: under(p.licence),
			Purl:   "pkg:npm/" + strings.ReplaceAll(p.name, "@", "%40") + "@" + p.version,
			Hashes: []hash{{"SHA-512", p.sha512}},
		})
	}
	all := make([]string, 0, len(doc.Components))
	for _, c := range doc.Components {
		all = append(all, c.Ref)
	}
	doc.Depends = []depends{{"kentongan", all}}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(doc); err != nil {
		return fmt.Errorf("write the bill of materials: %w", err)
	}
	return os.WriteFile(file, text.Bytes(), 0o644) //nolint:gosec,wrapcheck // to be read by all; it says all
}

func under(id string) []licenceChoice { return []licenceChoice{{licenceID{id}}} }
