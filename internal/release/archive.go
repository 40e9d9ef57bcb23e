package main

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// sumsName is the file of checksums, in the format of sha256sum.
const sumsName = "SHA256SUMS"

// extras are what an archive holds beside the program, in the order of their names.
var extras = []string{"LICENSE", "README.md", "SECURITY.md", "deploy/systemd/kentongan.service"}

// archive packs the program and extras below a folder called name. The entries are in order, of nobody, and of the time of the commit.
func (r release) archive(root, program, file, name string) (err error) {
	out, err := os.Create(file)
	if err != nil {
		return err //nolint:wrapcheck // it says all
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	zipped, err := gzip.NewWriterLevel(out, gzip.BestCompression)
	if err != nil {
		return err //nolint:wrapcheck // the level is a constant
	}
	packed := tar.NewWriter(zipped)
	members := map[string]string{name + "/kentongan": program}
	for _, extra := range extras {
		members[name+"/"+filepath.Base(extra)] = filepath.Join(root, filepath.FromSlash(extra))
	}
	paths := make([]string, 0, len(members))
	for path := range members {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		if err := r.add(packed, path, members[path]); err != nil {
			return fmt.Errorf("pack %s: %w", path, err)
		}
	}
	return errors.Join(packed.Close(), zipped.Close())
}

func (r release) add(packed *tar.Writer, path, source string) error {
	data, err := os.ReadFile(source)
	if err != nil {
		return err //nolint:wrapcheck // the caller does
	}
	mode := int64(0o644)
	if strings.HasSuffix(path, "/kentongan") {
		mode = 0o755
	}
	head := &tar.Header{Typeflag: tar.TypeReg, Name: path, Mode: mode, Size: int64(len(data)), ModTime: r.time, Format: tar.FormatUSTAR}
	if err := packed.WriteHeader(head); err != nil {
		return err //nolint:wrapcheck // as above
	}
	_, err = packed.Write(data)
	return err //nolint:wrapcheck // as above
}

// writeSums writes the checksums of all that is in dir, and returns them.
func writeSums(dir string) (string, error) {
	entries, err := os.ReadDir(dir) // in the order of their names
	if err != nil {
		return "", err //nolint:wrapcheck // it says all
	}
	var sums strings.Builder
	for _, e := range entries {
		sum, err := sumOf(filepath.Join(dir, e.Name()))
		if err != nil {
			return "", err
		}
		_, _ = fmt.Fprintf(&sums, "%s  %s\n", sum, e.Name())
	}
	return sums.String(), os.WriteFile(filepath.Join(dir, sumsName), []byte(sums.String()), 0o644) //nolint:gosec // to be read by all
}

func sumOf(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err //nolint:wrapcheck // it says all
	}
	defer func() { _ = f.Close() }() // it was only read
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err //nolint:wrapcheck // as above
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
