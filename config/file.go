package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFileBytes bounds the YAML file; one with a hundred patterns has ten thousand bytes.
const maxFileBytes = 1 << 20

// file is a YAML file while it is being read.
type file struct {
	path     string
	problems *Problems
}

func (f *file) where(n *yaml.Node, key string) string {
	return fmt.Sprintf("%s:%d: %s", f.path, n.Line, key)
}

func (f *file) problem(n *yaml.Node, key, format string, args ...any) {
	f.problems.add(f.where(n, key), format, args...)
}

// readRoot returns the top of the document in body; nil when it is empty or has a problem.
func (f *file) readRoot(body []byte) *yaml.Node {
	decoder := yaml.NewDecoder(bytes.NewReader(body))
	var doc, second yaml.Node
	if err := decoder.Decode(&doc); err != nil {
		if !errors.Is(err, io.EOF) {
			f.syntax(err)
		}
		return nil
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		f.problems.add(f.path, "holds more than one document; write one, without a line of three dashes in it")
		return nil
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" {
		return nil
	}
	return root
}

func readBounded(path string) ([]byte, error) {
	in, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
			return nil, pathErr.Err // the path stands in front already
		}
		return nil, err
	}
	defer func() { _ = in.Close() }() // it was only read
	body, err := io.ReadAll(io.LimitReader(in, maxFileBytes+1))
	if err != nil {
		if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
			return nil, pathErr.Err
		}
		return nil, err
	}
	if len(body) > maxFileBytes {
		return nil, fmt.Errorf("it has more than %s", bytesText(maxFileBytes))
	}
	return body, nil
}

// yamlWord is what the library's errors quote out of the file. It may be a piece of a secret.
var yamlWord = regexp.MustCompile("(?s)['`\"].*['`\"]")

func (f *file) syntax(err error) {
	s := strings.TrimPrefix(err.Error(), "yaml: ")
	if strings.Contains(s, "unknown anchor") {
		s = "a value begins with *; put it into quotes"
	}
	where := f.path
	if line, rest, ok := strings.Cut(s, ": "); ok && strings.HasPrefix(line, "line ") {
		where, s = f.path+":"+strings.TrimPrefix(line, "line "), rest
	}
	f.problems.add(where, "is no YAML: %s", strings.ReplaceAll(yamlWord.ReplaceAllString(s, "…"), "\n", " "))
}

// mapping calls each for every key of n, once. Each returns false for a key it does not know, which is then a problem that
// names those in known. It returns false if n is no map.
func (f *file) mapping(n *yaml.Node, key string, each func(name string, v *yaml.Node) bool, known ...string) bool {
	if n.Kind != yaml.MappingNode {
		if key == "" {
			f.problem(n, "top", "takes a map; write name: value")
		} else {
			f.problem(n, key, "takes a map; write its names below it, indented")
		}
		return false
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		full := strings.TrimPrefix(key+"."+name.Value, ".")
		if name.Kind != yaml.ScalarNode || name.ShortTag() == "!!merge" || value.Kind == yaml.AliasNode {
			f.problem(name, label(full), "uses an alias, a merge or a key that is no text; write the values out")
			continue
		}
		if first, ok := seen[name.Value]; ok {
			f.problem(name, label(full), "is there already in line %d", first)
			continue
		}
		seen[name.Value] = name.Line
		if !each(name.Value, value) {
			f.problem(name, label(full), "unknown key%s", suggest(name.Value, known))
		}
	}
	return true
}

// label makes a key that a person wrote fit for one line.
func label(key string) string {
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) || len(key) > 2*maxQuoted {
		return quote(key)
	}
	return key
}

var plainTags = []string{"!!str", "!!int", "!!float", "!!bool", "!!timestamp"}

// scalar returns the text of n as it stands in the file.
func (f *file) scalar(n *yaml.Node, key string) (string, bool) {
	if n.Kind != yaml.ScalarNode || !slices.Contains(plainTags, n.ShortTag()) {
		f.problem(n, key, "takes a value here; put it into quotes if it has special characters")
		return "", false
	}
	return n.Value, true
}

// items returns the texts of a list.
func (f *file) items(n *yaml.Node, key string) ([]string, bool) {
	if n.Kind != yaml.SequenceNode {
		f.problem(n, key, "takes a list; write each item on a line of its own, after a dash")
		return nil, false
	}
	list, ok := make([]string, 0, len(n.Content)), true
	for _, item := range n.Content {
		s, fine := f.scalar(item, key)
		list, ok = append(list, s), ok && fine
	}
	return list, ok
}
