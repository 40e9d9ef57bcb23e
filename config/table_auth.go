package config

func authSection() section {
	return section{
		title: "Credentials",
		intro: "`serve` needs at least one source of credentials: a session secret, a JWT secret, a JWKS URL, API keys or socket tokens. " +
			"`demo` makes its own where none is set.",
		settings: append(append(sessionSettings(), tokenSettings()...), socketTokenSettings()...),
	}
}

func sessionSettings() []setting {
	return []setting{
		{
			// The Next.js package signs with the plain variables when they are set and reads the numbered ones, highest
			// first, only otherwise. All are tried when a session is read; the order decides with which one `token` mints.
			key: "auth.session_secrets", env: []string{"AUTH_SECRET", "NEXTAUTH_SECRET", "AUTH_SECRET_3", "AUTH_SECRET_2", "AUTH_SECRET_1"},
			unset: "session cookies are refused", example: "a-secret-of-32-bytes-made-at-random",
			meaning: "The secrets of the app's Auth.js (v5) or NextAuth (v4), verbatim. All of them are tried; the first one " +
				"that is set is the one that new sessions are made with.",
			kind: sessionSecrets{},
		},
		{
			key: "auth.cookie", env: []string{"KENTONGAN_AUTH_COOKIE"}, unset: "the four usual names", example: "dapur.session-token",
			meaning: "Name of the session cookie, if it is none of `authjs.session-token`, `next-auth.session-token` and the two " +
				"with `__Secure-`.",
			kind: text{func(d *draft) *string { return &d.Auth.Cookie }, "cookie name", checkCookie},
		},
		{
			key: "auth.claims.subject", env: []string{"KENTONGAN_CLAIM_SUBJECT"}, def: "sub", example: "user.id",
			meaning: "Claim with the user id.",
			kind:    text{func(d *draft) *string { return &d.Auth.Claims.Subject }, "path with dots", checkClaim},
		},
		{
			key: "auth.claims.tenant", env: []string{"KENTONGAN_CLAIM_TENANT"}, def: "sppgId", example: "user.sppgId",
			meaning: "Claim with the kitchen.",
			kind:    text{func(d *draft) *string { return &d.Auth.Claims.Tenant }, "path with dots", checkClaim},
		},
		{
			key: "auth.claims.role", env: []string{"KENTONGAN_CLAIM_ROLE"}, def: "userRole", example: "user.role",
			meaning: "Claim with the role.",
			kind:    text{func(d *draft) *string { return &d.Auth.Claims.Role }, "path with dots", checkClaim},
		},
		{
			key: "auth.claims.user_type", env: []string{"KENTONGAN_CLAIM_USER_TYPE"}, def: "userType", example: "user.type",
			meaning: "Claim with the type of user.",
			kind:    text{func(d *draft) *string { return &d.Auth.Claims.UserType }, "path with dots", checkClaim},
		},
		{
			key: "auth.platform_roles", env: []string{"KENTONGAN_PLATFORM_ROLES"}, def: "PLATFORM_SUPERADMIN,PLATFORM_SUPPORT",
			example: "PLATFORM_SUPERADMIN",
			meaning: "Roles that may look into every kitchen; each look is logged.",
			kind:    texts{func(d *draft) *[]string { return &d.Auth.PlatformRoles }, "roles", checkRole},
		},
	}
}

func tokenSettings() []setting {
	return []setting{
		{
			key: "auth.jwt_secret", env: []string{"KENTONGAN_JWT_SECRET"}, unset: "HS256 tokens are refused",
			example: "another-secret-of-32-random-bytes",
			meaning: "Secret of bearer tokens with HS256, verbatim.",
			kind:    secret{func(d *draft) *Secret { return &d.Auth.JWTSecret }, minHMACBytes},
		},
		{
			key: "auth.jwks_url", env: []string{"KENTONGAN_JWKS_URL"}, unset: "tokens signed with public keys are refused",
			example: "https://login.example.id/.well-known/jwks.json",
			meaning: "Where the public keys of bearer tokens (RS, PS, ES, EdDSA) are.",
			kind:    text{func(d *draft) *string { return &d.Auth.JWKSURL }, "https URL, or http on this machine", checkJWKSURL},
		},
		{
			key: "auth.jwt_issuer", env: []string{"KENTONGAN_JWT_ISSUER"}, unset: "not checked", example: "https://login.example.id/",
			meaning: "What `iss` of a bearer token must be.",
			kind:    text{func(d *draft) *string { return &d.Auth.JWTIssuer }, "text", checkLine},
		},
		{
			key: "auth.jwt_audience", env: []string{"KENTONGAN_JWT_AUDIENCE"}, unset: "not checked", example: "kentongan",
			meaning: "What `aud` of a bearer token must hold.",
			kind:    text{func(d *draft) *string { return &d.Auth.JWTAudience }, "text", checkLine},
		},
		{
			key: "auth.api_keys", env: []string{"KENTONGAN_API_KEYS"}, unset: "no server may publish by HTTP",
			example: "app:5c1b6f0a7e3d4928,laravel@sppg_7:90d2c48be17f6a35",
			meaning: "Keys of servers that publish, sent as `Authorization: Bearer KEY`. `name@tenant:key` binds a key to one kitchen.",
			kind:    apiKeys{},
		},
	}
}

func socketTokenSettings() []setting {
	return []setting{
		{
			key: "auth.socket_tokens", env: []string{"KENTONGAN_SOCKET_TOKENS"}, def: off, example: "on",
			meaning: "Accept the app's own HMAC socket token.",
			kind:    toggle{func(d *draft) *bool { return &d.socketTokens }},
		},
		{
			key: "auth.socket_token_secret", env: []string{"KENTONGAN_SOCKET_TOKEN_SECRET"}, unset: "the first session secret",
			example: "third-secret-of-32-random-bytes-",
			meaning: "Secret of socket tokens, if it is not the session secret. Needs `KENTONGAN_SOCKET_TOKENS=on`.",
			kind:    secret{func(d *draft) *Secret { return &d.socketSecret }, minSecretBytes},
		},
	}
}
