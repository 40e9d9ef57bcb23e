package rest

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// answers says that o answers with T as JSON, or with text of these kinds.
func answers[T any](a *API, o *huma.Operation, others ...string) {
	content := map[string]*huma.MediaType{
		mediaJSON: {Schema: a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[T](), true, "")},
	}
	for _, media := range others {
		content[media] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	}
	o.Responses["200"] = &huma.Response{Description: http.StatusText(http.StatusOK), Content: content}
}

func jsonFile(v any) *fileOutput {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("rest: " + err.Error()) // every type that is answered with is ours
	}
	return &fileOutput{ContentType: mediaJSON, Body: buf.Bytes()}
}

// csvFile is a table as spreadsheets read it: UTF-8 with the mark by which Excel knows it.
func csvFile(name string, table [][]string) *fileOutput {
	var buf bytes.Buffer
	buf.WriteString("\uFEFF")
	w := csv.NewWriter(&buf)
	w.UseCRLF = true // RFC 4180
	for _, row := range table {
		for i, cell := range row {
			row[i] = harmless(cell)
		}
		_ = w.Write(row) // a bytes.Buffer takes everything
	}
	w.Flush()
	return &fileOutput{
		ContentType: mediaCSV + "; charset=utf-8", Disposition: `attachment; filename="` + name + `"`, Body: buf.Bytes(),
	}
}

// harmless returns cell such that no spreadsheet takes it for a formula: text that somebody typed into a kitchen's tablet must
// not run on an inspector's computer. Numbers stay as they are.
func harmless(cell string) string {
	if cell == "" || !strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return cell
	}
	if _, err := strconv.ParseFloat(cell, 64); err == nil {
		return cell
	}
	return "'" + cell
}
