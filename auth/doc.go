// Package auth answers one question: who is this? A credential goes in, an [Identity] comes out, or an error that says
// why not.
//
// Credentials are the session cookie of Auth.js v5 and NextAuth v4 (session.go), bearer JWTs (bearer.go), one-use
// tickets for other origins (ticket.go), API keys of servers (apikey.go) and, only if switched on, the app's own HMAC
// socket token (sockettoken.go). An [Authenticator] tries what a request brings. The tenant comes out of the credential
// and from nowhere else.
//
// A request that brings several credentials is judged by one of them, the most deliberate: the Authorization header,
// then the ticket, then the socket token, then the cookie. A bad one is an error; the next one is not tried, for
// otherwise a caller could not know as whom it came in.
//
// The package also knows when a credential ends: by its own expiry and by a [Revocation]. And it knows from where it may
// come: [Authenticator.CheckOrigin] has the rules that keep a foreign page from using a browser's cookie.
//
// Errors say in their text what was wrong, for debug logs; what a client is told is less, see [Deny]. Neither ever holds
// a token, a key or a claim's value.
package auth
