// Package auth answers one question: who is this? A credential goes in, an [Identity] comes out, or an error that says
// why not.
//
// Credentials are the session cookie of Auth.js v5 and NextAuth v4 (session.go), bearer JWTs, one-use tickets for other origins,
// API keys of servers, and, only if switched on, the app's own HMAC socket token. An [Authenticator] tries what a
// request brings. The tenant comes out of the credential and from nowhere else.
//
// The package also knows when a credential ends: by its own expiry and by a [Revocation].
package auth
