package rest

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"kentongan/production"
)

// columns are what a file of each list may have. The first two are needed, of staff the third as well.
var columns = map[string][]string{
	"staff":      {"id", "name", "role", "active", "pin"},
	"menus":      {"id", "name", "active", "dishes", "coldDishes", "targetGroups"},
	"programmes": {"id", "name", "active"},
}

// maxRows bounds a file: a hundred times a kitchen's staff.
const maxRows = 5000

// parseList reads a CSV file of one list. Its error is a *Problem that names the line and column.
func parseList(which string, file []byte) (ListsBody, error) {
	var b ListsBody
	known := columns[which]
	file = bytes.TrimPrefix(file, []byte("\uFEFF"))
	if !utf8.Valid(file) {
		return b, problem(http.StatusBadRequest, codeBadRequest, "the file is not UTF-8: save it as CSV UTF-8")
	}
	r := csv.NewReader(bytes.NewReader(file))
	first, _, _ := bytes.Cut(file, []byte("\n"))
	if bytes.ContainsRune(first, ';') && !bytes.ContainsRune(first, ',') {
		r.Comma = ';'
	}
	head, err := r.Read()
	if err != nil {
		return b, badFile(err)
	}
	at, err := heads(which, known, head)
	if err != nil {
		return b, err
	}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err != nil {
			return b, badFile(err)
		}
		line, _ := r.FieldPos(0)
		if line > maxRows+1 {
			return b, problem(http.StatusRequestEntityTooLarge, codeTooLarge, fmt.Sprintf("a file may have %d lines at most", maxRows))
		}
		if err := b.take(which, line, func(column string) string {
			i, ok := at[column]
			if !ok {
				return ""
			}
			return strings.TrimSpace(row[i])
		}); err != nil {
			return b, err
		}
	}
}

func badFile(err error) error {
	if e, ok := errors.AsType[*csv.ParseError](err); ok {
		return invalid("line "+strconv.Itoa(e.Line), e.Err.Error())
	}
	return invalid("line 1", "is missing: want the names of the columns")
}

// heads returns where each column is.
func heads(which string, known, head []string) (map[string]int, error) {
	at := map[string]int{}
	for i, name := range head {
		name = strings.TrimSpace(name)
		if !slices.Contains(known, name) {
			return nil, invalid("line 1", fmt.Sprintf("has a column %.40q: want some of %s", name, strings.Join(known, ", ")))
		}
		if _, twice := at[name]; twice {
			return nil, invalid("line 1", "has the column "+name+" twice")
		}
		at[name] = i
	}
	needed := []string{"id", "name"}
	if which == "staff" {
		needed = append(needed, "role")
	}
	for _, name := range needed {
		if _, ok := at[name]; !ok {
			return nil, invalid("line 1", "lacks the column "+name)
		}
	}
	return at, nil
}

// take adds one line to the list.
func (b *ListsBody) take(which string, line int, cell func(column string) string) error {
	var active *bool
	if text := cell("active"); text != "" {
		on, err := strconv.ParseBool(text)
		if err != nil {
			return invalid(fmt.Sprintf("line %d, active", line), "is neither true nor false")
		}
		active = &on
	}
	if cell("id") == "" {
		return invalid(fmt.Sprintf("line %d, id", line), "is empty")
	}
	switch which {
	case "staff":
		if !slices.Contains(production.Roles, production.Role(cell("role"))) {
			return invalid(fmt.Sprintf("line %d, role", line), "is none: want one such as SPPG_STAFF_DAPUR")
		}
		b.lines = append(b.lines, line)
		b.Staff = append(b.Staff, StaffEntry{cell("id"), cell("name"), production.Role(cell("role")), active, cell("pin")})
	case "menus":
		m := MenuEntry{ID: cell("id"), Name: cell("name"), Active: active, Groups: split(cell("targetGroups"))}
		for _, name := range split(cell("dishes")) {
			m.Dishes = append(m.Dishes, DishEntry{Name: name})
		}
		for _, name := range split(cell("coldDishes")) {
			m.Dishes = append(m.Dishes, DishEntry{Name: name, Cold: true})
		}
		b.Menus = append(b.Menus, m)
	case "programmes":
		b.Programmes = append(b.Programmes, ProgrammeEntry{cell("id"), cell("name"), active})
	}
	return nil
}

// split returns the entries of a cell that holds several.
func split(cell string) []string {
	var out []string
	for part := range strings.SplitSeq(cell, "|") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}
