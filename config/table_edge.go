package config

func edgeSection() section {
	return section{
		title:    "TLS and proxies",
		intro:    "What stands between the server and its clients. `deploy/` has tested settings for nginx, Caddy and HAProxy.",
		settings: append(proxySettings(), tlsSettings()...),
	}
}

func proxySettings() []setting {
	return []setting{
		{
			key: "edge.trusted_proxies", env: []string{"KENTONGAN_TRUSTED_PROXIES"}, unset: "nobody is believed",
			example: "private,203.0.113.7",
			meaning: "Proxies that say in a header whom a request came from; from all others that header means nothing. " +
				"`private` stands " +
				"for this machine and the private networks.",
			kind: texts{func(d *draft) *[]string { return &d.Edge.TrustedProxies }, "networks, addresses or `private`", checkNetwork},
		},
		{
			key: "edge.forwarded_header", env: []string{"KENTONGAN_FORWARDED_HEADER"}, def: "X-Forwarded-For", example: "Forwarded",
			meaning: "The header in which they say it, and the only one that counts. It has to be one that they write or " +
				"add to: another one " +
				"they hand on as the client has made it up.",
			kind: text{func(d *draft) *string { return &d.Edge.ForwardedHeader }, "`X-Forwarded-For` or `Forwarded`", checkForwarded},
		},
		{
			key: "edge.proxy_protocol", env: []string{"KENTONGAN_PROXY_PROTOCOL"}, unset: "off", example: "10.0.0.5",
			meaning: "Load balancers whose connections begin with a header of the PROXY protocol, version 1 or 2. Theirs " +
				"must, those of all " +
				"others must not.",
			kind: texts{func(d *draft) *[]string { return &d.Edge.ProxyPeers }, "networks, addresses or `private`", checkNetwork},
		},
	}
}

func tlsSettings() []setting {
	return []setting{
		{
			key: "edge.redirect_listen", env: []string{"KENTONGAN_REDIRECT_LISTEN"}, unset: "off", example: ":80",
			meaning: "Address that sends http to https, at `KENTONGAN_PUBLIC_URL`, and answers what an ACME authority asks.",
			kind:    text{func(d *draft) *string { return &d.Edge.RedirectListen }, "`host:port` or `off`", checkAdminListen},
		},
		{
			key: "edge.acme.domains", env: []string{"KENTONGAN_ACME_DOMAINS"}, unset: "no certificates are got",
			example: "dapur.example.id",
			meaning: "Names for which certificates are got from an ACME authority, and renewed. It has to reach the " +
				"server at port 443, or at " +
				"port 80 with `KENTONGAN_REDIRECT_LISTEN`.",
			kind: texts{func(d *draft) *[]string { return &d.Edge.ACME.Domains }, "domain names", checkDomain},
		},
		{
			key: "edge.acme.email", env: []string{"KENTONGAN_ACME_EMAIL"}, unset: "none is given", example: "ops@example.id",
			meaning: "Mail address for the authority.",
			kind:    text{func(d *draft) *string { return &d.Edge.ACME.Email }, "mail address", checkEmail},
		},
		{
			key: "edge.acme.directory", env: []string{"KENTONGAN_ACME_DIRECTORY"}, def: "https://acme-v02.api.letsencrypt.org/directory",
			example: "https://acme.example.id/directory",
			meaning: "The authority. With the default, its terms of use are agreed to.",
			kind:    text{func(d *draft) *string { return &d.Edge.ACME.Directory }, "https URL", checkDirectory},
		},
		{
			key: "edge.acme.storage", env: []string{"KENTONGAN_ACME_STORAGE"}, def: "kentongan-acme", example: "/var/lib/kentongan/acme",
			meaning: "Directory of account, keys and certificates. Keep it: authorities give few certificates a week.",
			kind:    text{func(d *draft) *string { return &d.Edge.ACME.Storage }, "path", checkFile},
		},
		{
			key: "edge.acme.roots", env: []string{"KENTONGAN_ACME_ROOTS"}, unset: "those of the system", example: "/etc/kentongan/ca.crt",
			meaning: "PEM file with the certificates that vouch for an authority of your own.",
			kind:    text{func(d *draft) *string { return &d.Edge.ACME.Roots }, "path", checkFile},
		},
	}
}
