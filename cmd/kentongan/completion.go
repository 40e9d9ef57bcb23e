package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"One of ${enum}."`
}

// Help is what completion --help adds.
func (*completionCommand) Help() string {
	return `Examples:

  source <(kentongan completion bash)

  kentongan completion zsh > "${fpath[1]}/_kentongan"

  kentongan completion fish > ~/.config/fish/completions/kentongan.fish`
}

// Run is kentongan completion. The scripts are made from the commands themselves, so they know every flag.
func (c *completionCommand) Run(w *world, k *kong.Kong) error {
	places := placesOf(k.Model.Node, "")
	switch c.Shell {
	case "bash":
		return wrapWrite(writeBash(w.out, places))
	case "zsh":
		return wrapWrite(writeZsh(w.out, places))
	default:
		return wrapWrite(writeFish(w.out, places))
	}
}

// place is one point of the command line: a command and what may follow it.
type place struct {
	path  string // "config show"; empty: right behind kentongan
	words []word // commands, or values of the first argument
	flags []flag
}

type word struct{ name, help string }

type flag struct {
	word
	values []string // that it takes; nil: anything
	value  bool     // it takes one
	file   bool     // which is a path
}

// placesOf walks the commands from n on. A group's default command can be left out, so its flags follow the group too.
func placesOf(n *kong.Node, path string) []place {
	p := place{path: path}
	for _, group := range n.AllFlags(true) {
		p.flags = append(p.flags, flagsOf(group)...)
	}
	if n.DefaultCmd != nil {
		p.flags = append(p.flags, flagsOf(n.DefaultCmd.Flags)...)
	}
	if len(n.Positional) > 0 && n.Positional[0].Enum != "" {
		for _, v := range n.Positional[0].EnumSlice() {
			p.words = append(p.words, word{name: v})
		}
	}
	places := []place{p}
	for _, child := range n.Children {
		if child.Hidden {
			continue
		}
		places[0].words = append(places[0].words, word{child.Name, firstSentence(child.Help)})
		places = append(places, placesOf(child, strings.TrimSpace(path+" "+child.Name))...)
	}
	return places
}

func flagsOf(group []*kong.Flag) []flag {
	var flags []flag
	for _, f := range group {
		one := flag{word: word{"--" + f.Name, firstSentence(f.Help)}, value: !f.IsBool(), file: f.PlaceHolder == "PATH"}
		if f.Enum != "" {
			one.values = f.EnumSlice()
		}
		flags = append(flags, one)
	}
	return flags
}

// firstSentence keeps the descriptions short, and free of what a shell would take for its own.
func firstSentence(s string) string {
	s, _, _ = strings.Cut(s, ". ")
	s, _, _ = strings.Cut(s, ": ")
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("'\"`$\\:[]", r) {
			return -1
		}
		return r
	}, strings.TrimSuffix(s, "."))
}

func namesOf(p place) string {
	var names []string
	for _, w := range p.words {
		names = append(names, w.name)
	}
	for _, f := range p.flags {
		names = append(names, f.name)
	}
	return strings.Join(names, " ")
}

// commandsOf returns the shell pattern of everything that is a command somewhere, such as "config|show".
func commandsOf(places []place) string {
	var names []string
	for _, p := range places {
		for name := range strings.FieldsSeq(p.path) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return strings.Join(names, "|")
}

// writeFunction writes the shell function that bash and zsh share: it finds the command in the words so far, and puts
// what may come next into reply.
func writeFunction(out io.Writer, places []place) error {
	var b strings.Builder
	b.WriteString("_kentongan_words() {\n  local path='' word previous=\"$1\"\n  shift\n  for word in \"$@\"; do\n    case \"$word\" in\n")
	fmt.Fprintf(&b, "      %s) path=\"${path:+$path }$word\" ;;\n    esac\n  done\n", commandsOf(places))
	b.WriteString("  reply=()\n  case \"$path|$previous\" in\n")
	for _, p := range places {
		for _, f := range p.flags {
			switch {
			case f.values != nil:
				fmt.Fprintf(&b, "    '%s|%s') reply=(%s); return ;;\n", p.path, f.name, strings.Join(f.values, " "))
			case f.file:
				fmt.Fprintf(&b, "    '%s|%s') reply=(FILES); return ;;\n", p.path, f.name)
			case f.value:
				fmt.Fprintf(&b, "    '%s|%s') return ;;\n", p.path, f.name)
			}
		}
	}
	b.WriteString("  esac\n  case \"$path\" in\n")
	for _, p := range places {
		fmt.Fprintf(&b, "    '%s') reply=(%s) ;;\n", p.path, namesOf(p))
	}
	b.WriteString("  esac\n}\n")
	_, err := io.WriteString(out, b.String())
	return err //nolint:wrapcheck // wrapped by Run
}

func writeBash(out io.Writer, places []place) error {
	if err := writeFunction(out, places); err != nil {
		return err
	}
	_, err := io.WriteString(out, `
_kentongan() {
  local current="${COMP_WORDS[COMP_CWORD]}" reply
  _kentongan_words "${COMP_WORDS[COMP_CWORD-1]}" "${COMP_WORDS[@]:1:COMP_CWORD-1}"
  if [ "${reply[*]}" = FILES ]; then
    COMPREPLY=($(compgen -f -- "$current"))
  else
    COMPREPLY=($(compgen -W "${reply[*]}" -- "$current"))
  fi
}
complete -F _kentongan kentongan
`)
	return err //nolint:wrapcheck // wrapped by Run
}

func writeZsh(out io.Writer, places []place) error {
	if _, err := io.WriteString(out, "#compdef kentongan\n\n"); err != nil {
		return err //nolint:wrapcheck // wrapped by Run
	}
	if err := writeFunction(out, places); err != nil {
		return err
	}
	_, err := io.WriteString(out, `
_kentongan() {
  local -a reply
  _kentongan_words "${words[CURRENT-1]}" "${(@)words[2,CURRENT-1]}"
  if [ "${reply[*]}" = FILES ]; then
    _files
  else
    compadd -- "${reply[@]}"
  fi
}
compdef _kentongan kentongan
`)
	return err //nolint:wrapcheck // wrapped by Run
}

func writeFish(out io.Writer, places []place) error {
	var b strings.Builder
	b.WriteString("complete -c kentongan -f\n")
	for _, p := range places {
		condition := "__fish_use_subcommand"
		if p.path != "" {
			condition = "__fish_seen_subcommand_from " + p.path[strings.LastIndexByte(p.path, ' ')+1:]
		}
		for _, w := range p.words {
			fmt.Fprintf(&b, "complete -c kentongan -n '%s' -a %s -d '%s'\n", condition, w.name, w.help)
		}
		for _, f := range p.flags {
			fmt.Fprintf(&b, "complete -c kentongan -n '%s' -l %s -d '%s'", condition, strings.TrimPrefix(f.name, "--"), f.help)
			switch {
			case f.values != nil:
				fmt.Fprintf(&b, " -x -a '%s'", strings.Join(f.values, " "))
			case f.file:
				b.WriteString(" -r -F")
			case f.value:
				b.WriteString(" -x")
			}
			b.WriteByte('\n')
		}
	}
	_, err := io.WriteString(out, b.String())
	return err //nolint:wrapcheck // wrapped by Run
}
