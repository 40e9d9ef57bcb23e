package schema

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"kentongan/realtime"
)

// Bounds of what is said about one message. An app that is wrong is mostly wrong in one or two places.
const (
	maxFaults    = 8
	maxPathBytes = 160
	maxListBytes = 200 // of names or values out of a schema
)

// faultsOf flattens the tree of the library: its leaves say what is wrong. The texts are our own, for the library's repeat values.
func faultsOf(e *jsonschema.ValidationError) []realtime.Fault {
	var faults []realtime.Fault
	var walk func(e *jsonschema.ValidationError)
	walk = func(e *jsonschema.ValidationError) {
		if problem := problemOf(e.ErrorKind); problem != "" {
			f := realtime.Fault{Path: pointer(e.InstanceLocation), Problem: problem}
			if !slices.Contains(faults, f) {
				faults = append(faults, f)
			}
			return
		}
		for _, cause := range e.Causes {
			walk(cause)
		}
	}
	walk(e)
	if len(faults) == 0 {
		faults = append(faults, realtime.Fault{Path: pointer(e.InstanceLocation), Problem: "is not what the schema wants"})
	}
	slices.SortFunc(faults, func(a, b realtime.Fault) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Problem, b.Problem))
	})
	return faults[:min(len(faults), maxFaults)]
}

// pointer is a JSON Pointer that is fit for a line of a log: the names in it come out of data.
func pointer(location []string) string {
	var b strings.Builder
	for _, part := range location {
		b.WriteByte('/')
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(part))
	}
	return printable(b.String(), maxPathBytes)
}

// printable cuts s, and replaces what could break a line or hide something.
func printable(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
	if len(s) > most {
		s = s[:most] + "…"
	}
	return s
}

// problemOf says what would be right; "" for what only holds others.
func problemOf(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		return "must be " + strings.Join(k.Want, " or ") + ", and is " + k.Got
	case *kind.Required:
		return "lacks " + names(k.Missing)
	case *kind.AdditionalProperties:
		return "has what is not allowed: " + names(k.Properties)
	case *kind.DependentRequired:
		return "has " + names([]string{k.Prop}) + " without " + names(k.Missing)
	case *kind.Dependency:
		return "has " + names([]string{k.Prop}) + " without " + names(k.Missing)
	case *kind.PropertyNames:
		return "has a name that is not allowed: " + names([]string{k.Property})
	case *kind.Enum:
		return "must be one of " + values(k.Want)
	case *kind.Const:
		return "must be " + values([]any{k.Want})
	case *kind.Format:
		return "must look like a " + k.Want
	case *kind.Pattern:
		return "must match " + printable(k.Want, maxListBytes)
	case *kind.OneOf, *kind.AnyOf:
		return "must have one of the shapes that the schema allows"
	case *kind.Not, *kind.FalseSchema:
		return "is not allowed"
	case *kind.Contains, *kind.MinContains, *kind.MaxContains:
		return "does not contain what the schema wants"
	case *kind.UniqueItems:
		return "must not have the same item twice"
	}
	return boundOf(k)
}

// boundOf is problemOf for what is too large or too small.
func boundOf(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Minimum:
		return "must be at least " + k.Want.RatString()
	case *kind.Maximum:
		return "must be at most " + k.Want.RatString()
	case *kind.ExclusiveMinimum:
		return "must be more than " + k.Want.RatString()
	case *kind.ExclusiveMaximum:
		return "must be less than " + k.Want.RatString()
	case *kind.MultipleOf:
		return "must be a multiple of " + k.Want.RatString()
	case *kind.MinLength:
		return fmt.Sprintf("must have at least %d characters", k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("must have at most %d characters", k.Want)
	case *kind.MinItems:
		return fmt.Sprintf("must have at least %d items", k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("must have at most %d items", k.Want)
	case *kind.AdditionalItems:
		return fmt.Sprintf("has %d items too many", k.Count)
	case *kind.MinProperties:
		return fmt.Sprintf("must have at least %d members", k.Want)
	case *kind.MaxProperties:
		return fmt.Sprintf("must have at most %d members", k.Want)
	}
	return ""
}

func names(list []string) string {
	list = slices.Sorted(slices.Values(list))
	return printable(strings.Join(list, ", "), maxListBytes)
}

// values spells values of a schema, not of data.
func values(list []any) string {
	var texts []string
	for _, v := range list {
		if text, err := json.Marshal(v); err == nil {
			texts = append(texts, string(text))
		}
	}
	return printable(strings.Join(texts, ", "), maxListBytes)
}
