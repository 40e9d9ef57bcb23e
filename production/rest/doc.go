// Package rest is the HTTP interface of package production: JSON with an OpenAPI 3.1 document at /openapi.json, a page at
// /docs that shows it without any other server, and the day log as JSON, CSV and a page to print.
//
// The way of a request: [API.admit] finds out who asks, which kitchen that is about and whether the role has the right,
// before a byte of the body is read; the operation turns the body into an act and gives it to [production.Service], or
// reads lists of the Store; what was refused becomes a [Problem] by the one table in problem.go.
//
// The tenant comes out of the credential. A look of the platform into a kitchen is written down in that kitchen's audit trail
// before it is answered. What a role may not see, costs above all, is taken out here ([production.Production.For] and its kin).
package rest
