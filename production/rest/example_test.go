package rest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"kentongan/auth"
	"kentongan/production"
	"kentongan/production/rest"
	"kentongan/production/storetest"
)

// An API stands beside the other routes of a server. A batch that is not there, or is another kitchen's, is not found; every refusal
// has a code that stays the same.
func ExampleAPI() {
	const secret = "the AUTH_SECRET of the app, verbatim"
	who, err := auth.New(auth.Options{SessionSecrets: []string{secret}})
	if err != nil {
		fmt.Println(err)
		return
	}
	store := storetest.NewModel() // sqlite or postgres in a server
	mux := http.NewServeMux()
	rest.New(rest.Options{Auth: who, Service: production.New(store, production.Options{}), Store: store}).Register(mux)

	token, err := auth.MintSession(secret, auth.SessionCookie,
		map[string]any{"sub": "usr_1", "sppgId": "sppg_7", "userRole": "SPPG_STAFF_QC"}, time.Hour)
	if err != nil {
		fmt.Println(err)
		return
	}
	ask := func(method, path, body string) {
		r := httptest.NewRequest(method, "http://example.com"+path, strings.NewReader(body))
		r.Header.Set("Cookie", auth.SessionCookie+"="+token)
		r.Header.Set("Origin", "http://example.com")
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Print(w.Code, " ", w.Body)
	}
	ask(http.MethodGet, "/api/productions?from=2026-11-26&to=2026-11-26", "")
	ask(http.MethodPost, "/api/productions/nr_9/readings", `{"kind":"CORE","celsius":81.5}`)
	ask(http.MethodPost, "/api/productions/nr_9/readings", `{"kind":"CORE","suhu":81.5}`)
	// Output:
	// 200 {"productions":[]}
	// 404 {"type":"/docs#NOT_FOUND","title":"Not found, or not of this kitchen","status":404,"detail":"there is no such production in this kitchen","code":"NOT_FOUND"}
	// 422 {"type":"/docs#INVALID","title":"A field is wrong","status":422,"detail":"celsius is missing","code":"INVALID","errors":[{"path":"celsius","reason":"is missing"},{"path":"suhu","reason":"is unknown; names are case-sensitive"}]}
}
