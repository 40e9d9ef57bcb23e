// Package answer writes the JSON answers of our HTTP routes, so that all of them look alike:
// {"success":true,"data":…} and {"success":false,"error":{"code":"…","message":"…"}}, which is what the existing app's
// fetch calls expect.
package answer

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// Problem is the error of an answer. Code is stable and made for programs, Message for people: it says what is wrong
// and what would be right, and never holds a secret.
type Problem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// JSON writes v as it is with the given status. Answers are about one caller, so no cache may keep them.
func JSON(w http.ResponseWriter, status int, v any) {
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	body, err := json.Marshal(v)
	if err != nil {
		// Every type that is answered with is ours; one that does not marshal is a mistake in the code.
		panic("answer: " + err.Error())
	}
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a client that has gone is no error of ours
}

// Error writes {"success":false,"error":{code,message}}.
func Error(w http.ResponseWriter, status int, code, message string) {
	JSON(w, status, struct {
		Success bool    `json:"success"`
		Error   Problem `json:"error"`
	}{false, Problem{code, message}})
}

// Later is Error with RetryAfter.
func Later(w http.ResponseWriter, status int, code, message string, after time.Duration) {
	RetryAfter(w, after)
	Error(w, status, code, message)
}

// RetryAfter says when to come again, in whole seconds, at least one.
func RetryAfter(w http.ResponseWriter, after time.Duration) {
	w.Header().Set("Retry-After", strconv.Itoa(max(1, int((after+time.Second-1)/time.Second))))
}
