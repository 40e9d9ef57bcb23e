package rest

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"kentongan/production"
)

// Lists are what batches refer to.
type Lists struct {
	Staff      []StaffMember          `json:"staff"`
	Menus      []production.Menu      `json:"menus"`
	Programmes []production.Programme `json:"programmes"`
}

// StaffMember is a person as others may see them.
type StaffMember struct {
	ID      string             `json:"id"`
	Name    string             `json:"name"`
	Role    production.Role    `json:"role"`
	Active  bool               `json:"active"`
	HasPIN  bool               `json:"hasPin"`
	Updated production.Instant `json:"updatedAt"`
}

// ListsBody adds to the lists, or replaces what has the same ids.
type ListsBody struct {
	Staff      []StaffEntry     `json:"staff,omitempty"`
	Menus      []MenuEntry      `json:"menus,omitempty"`
	Programmes []ProgrammeEntry `json:"programmes,omitempty"`

	lines []int // where staff stands in a file; nil: it came as JSON
}

// StaffEntry is a person as the app, or a file, knows them.
type StaffEntry struct {
	ID     string          `json:"id"`
	Name   string          `json:"name"`
	Role   production.Role `json:"role"`
	Active *bool           `json:"active,omitempty"` // nil: yes
	PIN    string          `json:"pin,omitempty"`    // empty: the one that is stored stays
}

// MenuEntry is a menu.
type MenuEntry struct {
	ID     string      `json:"id"`
	Name   string      `json:"name"`
	Active *bool       `json:"active,omitempty"` // nil: yes
	Dishes []DishEntry `json:"dishes,omitempty"`
	Groups []string    `json:"targetGroups,omitempty"`
}

// DishEntry is a dish of a menu.
type DishEntry struct {
	Name string `json:"name"`
	Cold bool   `json:"cold,omitempty"`
}

// ProgrammeEntry is a programme.
type ProgrammeEntry struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Active *bool  `json:"active,omitempty"` // nil: yes
}

type listsInput struct {
	Who
	Proof
	RawBody []byte
}

type listsOutput struct{ Body Lists }

// maxPINs bounds the PINs of one request: each takes about 10 ms to hash.
const maxPINs = 200

// references adds the routes of the lists.
func (a *API) references() {
	register(a, a.declare(operation{
		id: "getReferences", method: http.MethodGet, path: "/api/references", tag: tagKitchen, summary: "Read staff, menus and programmes",
		need: need{rights: []production.Right{production.MaySee}, look: "references"},
	}), func(ctx context.Context, c *caller, _ *whoInput) (*listsOutput, error) {
		return a.lists(ctx, c)
	})
	o := a.declare(operation{
		id: "putReferences", method: http.MethodPut, path: "/api/references", tag: tagKitchen,
		summary: "Import staff, menus and programmes",
		more: "What has an id that is known is replaced, the rest is added, nothing is removed: set active to false instead. All or " +
			"nothing. A PIN that is left out stays. At most " + strconv.Itoa(maxPINs) + " PINs at once.",
		need: need{rights: []production.Right{production.MaySee}},
	}, http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	schema := takes[ListsBody](a, &o)
	register(a, o, func(ctx context.Context, c *caller, in *listsInput) (*listsOutput, error) {
		var b ListsBody
		if err := decode(a.huma.OpenAPI().Components.Schemas, schema, in.RawBody, &b); err != nil {
			return nil, err
		}
		return a.put(ctx, c, &in.Proof, b)
	})
	a.imports()
}

func (a *API) lists(ctx context.Context, c *caller) (*listsOutput, error) {
	refs, err := a.opts.Store.References(ctx, c.tenant)
	if err != nil {
		return nil, fmt.Errorf("read lists: %w", err)
	}
	out := &listsOutput{Body: Lists{Staff: []StaffMember{}, Menus: list(refs.Menus), Programmes: list(refs.Programmes)}}
	for _, p := range refs.People {
		out.Body.Staff = append(out.Body.Staff, StaffMember{p.ID, p.Name, p.Role, p.Active, p.PIN != "", p.Updated})
	}
	return out, nil
}

// put stores what came, by JSON or by CSV, and answers with the lists as they are then.
func (a *API) put(ctx context.Context, c *caller, in *Proof, b ListsBody) (*listsOutput, error) {
	r, err := in.request(c)
	if err != nil {
		return nil, err
	}
	refs, err := b.references()
	if err != nil {
		return nil, err
	}
	if err := a.opts.Service.Put(ctx, r, refs); err != nil {
		return nil, fmt.Errorf("put lists: %w", err)
	}
	return a.lists(ctx, c)
}

// pinAt names the place of the PIN of the i-th person.
func (b *ListsBody) pinAt(i int) string {
	if b.lines != nil {
		return "line " + strconv.Itoa(b.lines[i]) + ", pin"
	}
	return "staff[" + strconv.Itoa(i) + "].pin"
}

// references makes what is stored of b.
func (b *ListsBody) references() (production.References, error) {
	var refs production.References
	pins := 0
	for i, s := range b.Staff {
		p := production.Person{ID: s.ID, Name: s.Name, Role: s.Role, Active: yes(s.Active)}
		if s.PIN != "" {
			pins++
			if pins > maxPINs {
				return refs, invalid(b.pinAt(i), "is one of more than "+strconv.Itoa(maxPINs)+": send the rest with another request")
			}
			var err error
			if p.PIN, err = production.HashPIN(s.PIN); err != nil {
				return refs, invalid(b.pinAt(i), err.Error())
			}
		}
		refs.People = append(refs.People, p)
	}
	for _, m := range b.Menus {
		menu := production.Menu{ID: m.ID, Name: m.Name, Active: yes(m.Active), Groups: m.Groups}
		for _, d := range m.Dishes {
			menu.Dishes = append(menu.Dishes, production.Dish{Name: d.Name, Cold: d.Cold})
		}
		refs.Menus = append(refs.Menus, menu)
	}
	for _, p := range b.Programmes {
		refs.Programmes = append(refs.Programmes, production.Programme{ID: p.ID, Name: p.Name, Active: yes(p.Active)})
	}
	return refs, nil
}

func yes(b *bool) bool { return b == nil || *b }

type importInput struct {
	Who
	Proof
	List    string `path:"list" enum:"staff,menus,programmes" doc:"Which list."`
	RawBody []byte
}

// imports adds the route of files.
func (a *API) imports() {
	o := a.declare(operation{
		id: "importReferences", method: http.MethodPut, path: "/api/references/{list}", tag: tagKitchen, summary: "Import one list as CSV",
		more: "As PUT /api/references. The first line names the columns: id, name, active (true or false; true if left out), " +
			"and of staff role and pin, of menus dishes, coldDishes and targetGroups, each with | between its entries. " +
			"Cells are separated by commas, or by semicolons as Excel writes them in Indonesia.",
		need: need{rights: []production.Right{production.MaySee}},
	}, http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	o.Middlewares = append(o.Middlewares, a.receive(mediaCSV))
	o.SkipValidateBody = true
	file := &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	o.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{mediaCSV: file}}
	register(a, o, func(ctx context.Context, c *caller, in *importInput) (*listsOutput, error) {
		b, err := parseList(in.List, in.RawBody)
		if err != nil {
			return nil, err
		}
		return a.put(ctx, c, &in.Proof, b)
	})
}
