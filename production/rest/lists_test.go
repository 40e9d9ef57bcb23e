package rest

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"kentongan/production"
)

func TestKitchen(t *testing.T) {
	s := newStage(t)
	var now Settings
	if re := s.as("tamu").get("/api/kitchen").ok(http.StatusOK).into(&now); re.header.Get("ETag") != "" || now.Kitchen.Zone != production.WIB {
		t.Errorf("of a kitchen that nobody has set: %v %s", re.header, re.body)
	}
	limit := func(name string) LimitState {
		for _, l := range now.Limits {
			if l.Name == name {
				return l
			}
		}
		t.Fatalf("no limit %s", name)
		return LimitState{}
	}
	if l := limit("coreMinC"); l.Value != 75 || l.Set || !l.Safety || l.Unit != "°C" || *l.Loosest != 75 || l.Stricter != "HIGHER" {
		t.Errorf("coreMinC: %+v", l)
	}
	put := func(body map[string]any) *reply { return s.as("kepala").do(http.MethodPut, "/api/kitchen", body) }
	body := map[string]any{
		"version": 0, "name": "SPPG Mawar", "timeZone": "Asia/Makassar", "certifiedCook": true,
		"certificates": []any{map[string]any{"kind": "SLHS", "number": "123", "validUntil": "2027-01-31"}},
		"limits":       map[string]any{"coreMinC": 77.5, "wasteHighKg": 40},
	}
	if re := put(body).ok(http.StatusOK).into(&now); re.header.Get("ETag") != `"1"` || now.Kitchen.UpdatedBy != "kepala" || now.Kitchen.Name != "SPPG Mawar" {
		t.Errorf("%v %s", re.header, re.body)
	}
	if l := limit("coreMinC"); l.Value != 77.5 || !l.Set {
		t.Errorf("coreMinC: %+v", l)
	}
	body["name"] = "SPPG Melati"
	put(body).refused(unprocessable, "INVALID", "version")
	body["version"] = 9
	if p := put(body).refused(conflict, "VERSION_CONFLICT"); p.Current != 1 {
		t.Errorf("currentVersion %d", p.Current)
	}
	body["version"] = 1
	body["limits"] = map[string]any{"coreMinC": 74.9, "eatWithinMinutes": 241, "wasteHighKg": 5001}
	put(body).refused(unprocessable, "INVALID", "limits.eatWithinMinutes", "limits.wasteHighKg") // outside of what makes sense at all
	body["limits"] = map[string]any{"coreMinC": 74.9}
	put(body).refused(unprocessable, "INVALID", "limits.coreMinC") // looser than safety allows
	body["limits"] = map[string]any{}
	s.as("kepala").with("If-Match", `"1"`).do(http.MethodPut, "/api/kitchen", body).ok(http.StatusOK)
}

func TestReferences(t *testing.T) {
	s := newStage(t)
	put := func(body any) *reply { return s.key(apiKey).do(http.MethodPut, "/api/references", body) }
	var lists Lists
	put(map[string]any{
		"staff":      []any{map[string]any{"id": "siti", "name": "Siti", "role": "SPPG_STAFF_QC", "pin": "1357"}, map[string]any{"id": "mutu", "name": "Mutu B", "role": "SPPG_STAFF_QC", "active": false}},
		"menus":      []any{map[string]any{"id": "menu_2", "name": "Nasi ikan", "dishes": []any{map[string]any{"name": "Ikan"}, map[string]any{"name": "Susu", "cold": true}}, "targetGroups": []any{"TK"}}},
		"programmes": []any{map[string]any{"id": "prog_2", "name": "Pilot"}},
	}).ok(http.StatusOK).into(&lists)
	found := map[string]StaffMember{}
	for _, m := range lists.Staff {
		found[m.ID] = m
	}
	if m := found["siti"]; !m.Active || !m.HasPIN || m.Role != production.QCStaff {
		t.Errorf("siti: %+v", m)
	}
	if m := found["mutu"]; m.Active || !m.HasPIN || m.Name != "Mutu B" { // its PIN was left out, so it stays
		t.Errorf("mutu: %+v", m)
	}
	if len(lists.Menus) != 2 || len(lists.Programmes) != 2 {
		t.Errorf("%d menus, %d programmes", len(lists.Menus), len(lists.Programmes))
	}
	if body := string(s.as("kepala").get("/api/references").ok(http.StatusOK).body); strings.Contains(body, "pbkdf2") {
		t.Error("the hash of a PIN is in an answer")
	}
	put(map[string]any{}).refused(unprocessable, "INVALID", "")
	put(map[string]any{"staff": []any{map[string]any{"id": "x", "name": "X", "role": "SPPG_STAFF_QC", "pin": "12"}}}).refused(unprocessable, "INVALID", "staff[0].pin")
	put(map[string]any{"staff": []any{map[string]any{"id": "x", "name": "X", "role": "PLATFORM_SUPERADMIN"}}}).refused(unprocessable, "INVALID", "staff[0].role")
	put(map[string]any{"menus": []any{map[string]any{"id": "a", "name": ""}, map[string]any{"id": "a", "name": "b"}}}).
		refused(unprocessable, "INVALID", "menus[0].name", "menus[1].id")
	var many []any
	for range maxPINs + 1 {
		many = append(many, map[string]any{"id": "x", "name": "X", "role": "SPPG_STAFF_QC", "pin": "12"})
	}
	put(map[string]any{"staff": many}).refused(unprocessable, "INVALID", "staff[0].pin")
}

func TestReferences_CSV(t *testing.T) {
	s := newStage(t)
	put := func(list, file string) *reply {
		return s.as("admin").with("Content-Type", "text/csv; charset=utf-8").do(http.MethodPut, "/api/references/"+list, file)
	}
	var lists Lists
	put("staff", "\uFEFFrole;name;id;active;pin\r\nSPPG_STAFF_QC;\"Siti; Rahma\";siti;true;1357\r\nSPPG_STAFF_DAPUR;Budi;budi;false;\r\n").ok(http.StatusOK).into(&lists)
	names := map[string]bool{}
	for _, m := range lists.Staff {
		names[m.Name] = m.Active
	}
	if active, ok := names["Siti; Rahma"]; !ok || !active {
		t.Errorf("staff: %+v", lists.Staff)
	}
	if active, ok := names["Budi"]; !ok || active {
		t.Errorf("staff: %+v", lists.Staff)
	}
	put("menus", "id,name,dishes,coldDishes,targetGroups\nm9,Nasi ikan,Nasi | Ikan,Susu,TK|SD\n").ok(http.StatusOK).into(&lists)
	for _, m := range lists.Menus {
		if m.ID == "m9" && (len(m.Dishes) != 3 || m.Dishes[1].Name != "Ikan" || !m.Dishes[2].Cold || len(m.Groups) != 2) {
			t.Errorf("menu %+v", m)
		}
	}
	for _, c := range []struct {
		name, list, file string
		status           int
		code             string
		paths            []string
	}{
		{"Head", "staff", "id,nama,role\nx,y,z\n", 422, "INVALID", []string{"line 1"}},
		{"HeadTwice", "staff", "id,name,id\n", 422, "INVALID", []string{"line 1"}},
		{"HeadLacks", "staff", "id,name\nx,y\n", 422, "INVALID", []string{"line 1"}},
		{"Role", "staff", "id,name,role\na,A,SPPG_STAFF_QC\nb,B,CHEF\n", 422, "INVALID", []string{"line 3, role"}},
		{"Active", "staff", "id,name,role,active\na,A,SPPG_STAFF_QC,maybe\n", 422, "INVALID", []string{"line 2, active"}},
		{"NoID", "programmes", "id,name\n,A\n", 422, "INVALID", []string{"line 2, id"}},
		{"PIN", "staff", "id,name,role,pin\na,A,SPPG_STAFF_QC,12\n", 422, "INVALID", []string{"line 2, pin"}},
		{"Cells", "programmes", "id,name\na\n", 422, "INVALID", []string{"line 2"}},
		{"Quote", "programmes", "id,name\n\"a,b\n", 422, "INVALID", []string{"line 2"}},
		{"Nothing", "programmes", "id,name\n", 422, "INVALID", []string{""}},
		{"NoUTF8", "programmes", "id,name\na,\xff\n", 400, "BAD_REQUEST", nil},
		{"Long", "programmes", "id,name\n" + strings.Repeat("a,b\n", maxRows+1), 413, "TOO_LARGE", nil},
		{"List", "recipes", "id,name\na,b\n", 422, "INVALID", []string{"path.list"}},
	} {
		t.Run(c.name, func(*testing.T) { put(c.list, c.file).refused(c.status, c.code, c.paths...) })
	}
	// docs/rest.md shows a file: it is one.
	doc, err := os.ReadFile("../../docs/rest.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(doc), "```csv\n")
	example, _, _ = strings.Cut(example, "```")
	put("staff", example).ok(http.StatusOK)
}

// TestDocsAreTrue: what docs/rest.md shows of answers has the fields of the document.
func TestDocsAreTrue(t *testing.T) {
	doc, err := os.ReadFile("../../docs/rest.md")
	if err != nil {
		t.Fatal(err)
	}
	schemas := bare(t).huma.OpenAPI().Components.Schemas.Map()
	for i, name := range []string{"Listed", "Problem"} {
		example := strings.Split(string(doc), "```json\n")[i+1]
		example, _, _ = strings.Cut(example, "```")
		var fields map[string]any
		if err := json.Unmarshal([]byte(strings.ReplaceAll(example, "[…]", "[]")), &fields); err != nil {
			t.Fatal(err)
		}
		for field := range fields {
			if schemas[name].Properties[field] == nil {
				t.Errorf("docs/rest.md shows a %s with %s, which the document does not have", name, field)
			}
		}
	}
	for path := range bare(t).huma.OpenAPI().Paths {
		stem := strings.TrimSuffix(path, "/{id}")
		last := path[strings.LastIndex(path, "/")+1:]
		if !strings.Contains(string(doc), path) && !strings.Contains(string(doc), "`"+last+"`") && !strings.Contains(string(doc), stem) {
			t.Errorf("docs/rest.md does not list %s", path)
		}
	}
}
