package auth_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"kentongan/auth"
)

// A door asks who is there and answers by itself only if nobody is.
func ExampleAuthenticator_Admit() {
	const secret = "the AUTH_SECRET of the app, verbatim"
	a, err := auth.New(auth.Options{SessionSecrets: []string{secret}})
	if err != nil {
		fmt.Println(err)
		return
	}
	door := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := a.Admit(r.Context(), r)
		if err != nil {
			auth.Deny(w, err)
			return
		}
		_, _ = fmt.Fprintf(w, "%s of kitchen %s\n", who.Subject, who.Tenant)
	})

	token, err := auth.MintSession(secret, auth.SessionCookie, map[string]any{"sub": "usr_1", "sppgId": "sppg_7"}, time.Hour)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, origin := range []string{"http://example.com", "https://elsewhere.example"} {
		r := httptest.NewRequest(http.MethodGet, "http://example.com/api/ws", http.NoBody)
		r.Header.Set("Cookie", auth.SessionCookie+"="+token)
		r.Header.Set("Origin", origin)
		w := httptest.NewRecorder()
		door.ServeHTTP(w, r)
		fmt.Print(w.Code, " ", w.Body)
	}
	// Output:
	// 200 usr_1 of kitchen sppg_7
	// 403 {"success":false,"error":{"code":"origin_not_allowed","message":"Pages of this origin may not connect here."}}
}
