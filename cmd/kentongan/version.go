package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
)

type versionCommand struct {
	JSON bool `help:"Print JSON."`
}

// What the linker writes into a release (internal/release), which takes nothing from the state of a clone; else empty.
var releaseVersion, releaseCommit, releaseTime string

// version is what the binary knows about itself.
type version struct {
	Version string `json:"version"` // of the module; "devel" if it was built from a tree without a tag
	Commit  string `json:"commit,omitempty"`
	Time    string `json:"time,omitempty"`  // of the commit
	Dirty   bool   `json:"dirty,omitempty"` // there were changes that are in no commit
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

// readVersion reads what the linker has written into a release, or what the Go command writes into every binary.
func readVersion() version {
	v := version{Version: "devel", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	if releaseVersion != "" {
		v.Version, v.Commit, v.Time = releaseVersion, releaseCommit, releaseTime
		return v
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.time":
			v.Time = s.Value
		case "vcs.modified":
			v.Dirty = s.Value == "true"
		}
	}
	return v
}

// Run is kentongan version.
func (c *versionCommand) Run(w *world) error {
	v := readVersion()
	if c.JSON {
		return wrapWrite(json.NewEncoder(w.out).Encode(v))
	}
	commit := v.Commit
	if commit == "" {
		commit = "unknown"
	}
	if v.Dirty {
		commit += " with changes"
	}
	_, err := fmt.Fprintf(w.out, "kentongan %s\ncommit %s\n%s %s/%s\n", v.Version, commit, v.Go, v.OS, v.Arch)
	return wrapWrite(err)
}
