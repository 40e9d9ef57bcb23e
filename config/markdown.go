package config

import (
	"bytes"
	_ "embed"
	"fmt"
	"strings"
)

//go:embed example.yaml
var exampleFile string

// ExampleFile returns a YAML file that uses what only a file can say. It is valid.
func ExampleFile() string { return exampleFile }

const docHead = `<!-- Made by: kentongan config doc. Do not edit: change the table in config/ and run make gen. -->
# Configuration

Settings come from the environment and, if you like, from a YAML file (` + "`--config PATH` or `KENTONGAN_CONFIG`" + `). The environment
wins over the file, the file over the default. A variable that is empty counts as not set. ` + "`GOGC` and `GOMEMLIMIT`" + `
work as in every Go program. The garbage of many handshakes is given back once they are over, whatever those say.

All mistakes are reported at once, one line each, with exit code 2, and nothing is started: an unknown ` + "`KENTONGAN_…`" + `
variable, an unknown key of the file, a bad value, a missing secret, two settings that contradict each other. Secrets never appear in logs,
in errors, or in what ` + "`kentongan config`" + ` prints.

- ` + "`kentongan config`" + ` prints every setting, its value and where that came from.
- ` + "`kentongan config check`" + ` says whether ` + "`serve`" + ` would start with it.
- ` + "`kentongan config doc`" + ` prints this page.

Durations are written ` + "`25s`, `1m30s`, `24h`; sizes `65536`, `64KiB`, `1MiB`" + `.
Lists are separated by commas in a variable, and are lists in the file.
`

// Doc returns the reference of all settings as Markdown. docs/configuration.md is this text.
func Doc() string {
	var b bytes.Buffer
	b.WriteString(docHead)
	for _, sec := range table() {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", sec.title, sec.intro)
		b.WriteString("| environment | file | value | default | meaning |\n|---|---|---|---|---|\n")
		for _, s := range sec.settings {
			fmt.Fprintf(&b, "| %s | `%s` | %s | %s | %s |\n", names(s.env), s.key, cell(s.kind.takes()), byDefault(s), cell(explain(s)))
		}
	}
	b.WriteString("\n## Commands that talk to a server\n\n| environment | meaning |\n|---|---|\n")
	for _, v := range clientVariables() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", v.name, cell(v.meaning))
	}
	b.WriteString("\n## A file\n\n```yaml\n" + exampleFile + "```\n")
	return b.String()
}

func names(env []string) string {
	if len(env) == 0 {
		return "–"
	}
	return "`" + strings.Join(env, "`, `") + "`"
}

func byDefault(s setting) string {
	if s.def != "" {
		return "`" + s.def + "`"
	}
	return cell(s.unset)
}

func explain(s setting) string {
	if isMasked(s.kind) {
		return s.meaning // an example of a secret would end up in production
	}
	return s.meaning + " Example: `" + s.example + "`."
}

// cell makes a text fit into a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
