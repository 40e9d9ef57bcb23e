# Everything that CI does can be done by hand, and in the same words. `make` alone prints what there is.
#
# Needed: Go 1.26, Node 20 with npm, and, for what `make test` installs, root on Debian or Ubuntu.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

GOLANGCI_VERSION := v2.15.0
GOVULN_VERSION   := v1.9.0
HELM_VERSION     := v3.22.0
MAKE_DIR         := $(CURDIR)/.make
GOLANGCI         := $(MAKE_DIR)/golangci-lint-$(GOLANGCI_VERSION)/golangci-lint
HELM             := $(MAKE_DIR)/helm-$(HELM_VERSION)/helm

# go test starts packages in the order in which they are named: what takes longest comes first, so that it does not run on alone when all
# others are done. app is before e2e, which builds the server of what was compiled for app.
LONGEST := ./app ./e2e ./realtime/redis ./production/postgres ./chaos ./realtime/gateway

TESTENV_NPM := internal/testenv/npm

# RUN and FUZZTIME narrow and lengthen: make e2e RUN=TestIoredis, make fuzz FUZZTIME=1m.
RUN      ?= .
FUZZTIME ?= 10s
BENCH    ?=

# SEED repeats the faults of a run, CHAOS narrows it: make chaos SEED=7 CHAOS="--faults F1,F3 --keep /tmp/chaos".
SEED     ?= 0

# MINUTES is how long make soak lasts.
MINUTES  ?= 60
CHAOS    ?=

# The binary's version does not matter to tests, and a clone of another user's makes git refuse to tell it.
export GOFLAGS := $(strip $(GOFLAGS) -buildvcs=false)

# $(call step,NAME,COMMANDS) runs COMMANDS and says how long they took.
define step
@printf '== %s\n' '$(1)'; begin=$$SECONDS; $(2); printf '   %s: %d s\n' '$(1)' "$$((SECONDS - begin))"
endef

##@ Use

.PHONY: run
run: ## start a demo with three kitchens; it needs nothing but Go
	go run ./cmd/kentongan demo

.PHONY: bench
bench: ## measure against a floor in the same run; BENCH=--quick takes about five minutes, BENCH=--help tells the rest
	go run ./bench $(BENCH)

.PHONY: bench-cache
bench-cache: packages ## measure the cache beside other caches; they are in a module of their own, bench/cache
	go run -C bench/cache .

.PHONY: bench-production
bench-production: programs ## measure the stores against bare inserts in the same run, an alert pass and a kitchen's day, and say which aims are met: some minutes
	@(bench() { go test -run '^$$' -timeout 20m "$$@" || echo FAIL; }; \
	bench -bench 'BenchmarkChanges' -benchtime 1x -p 1 ./production/sqlite ./production/postgres; \
	bench -bench 'BenchmarkCommit' -benchtime 1x ./production/sqlite; \
	bench -bench 'BenchmarkCommit' -benchtime 3000x ./production/postgres; \
	bench -bench 'BenchmarkPass' -benchtime 1x ./production/watch; \
	bench -bench 'BenchmarkDay' -benchtime 300x -p 1 ./production/sqlite ./production/postgres; \
	bench -bench 'BenchmarkDue' -benchtime 10x -p 1 ./production/sqlite ./production/postgres) | go run ./internal/benchreport

.PHONY: peers
peers: bench/peers/node_modules/.package-lock.json ## install what make bench BENCH=--peers measures beside the server; nothing else needs it

##@ Prove

.PHONY: test
test: programs packages sources formatted modules assets client ## all that must pass: what CI runs. Installs what is missing
	@printf '== %s\n' 'go test -race, with go vet'
	@go test -race -vet=all -p 3 -timeout 25m -json $(LONGEST) ./... | go run ./internal/testreport

.PHONY: e2e
e2e: programs packages sources ## only the tests with real browsers, Redis and Node; RUN=regexp
	go test -race -count=1 -timeout 25m -v -run '$(RUN)' ./e2e/...

.PHONY: chaos
chaos: ## break it on purpose, each fault alone and all at once: about half an hour; SEED=n CHAOS=options
	CACHE_MODEL_STEPS=1000000 go test -count=1 -run '^TestModelNothingStale$$' ./cache/
	go run ./chaos --mix ci --seed $(SEED) $(CHAOS)

.PHONY: night
night: programs ## restart everything, one part after another, under load: nginx, Redis with Sentinels, PostgreSQL; SEED=n
	go run ./chaos --engine night --mix ci --seed $(SEED) $(CHAOS)

.PHONY: campaign
campaign: ## the same with the counts of a release: some hours
	go run ./chaos --mix release --seed $(SEED) $(CHAOS)

.PHONY: soak
soak: ## keep a server busy for MINUTES, and check that memory, goroutines and descriptors are flat
	go run ./bench/soak -minutes $(MINUTES)

.PHONY: helm
helm: $(HELM) ## render the chart, and read it as Kubernetes does: some minutes the first time, and not part of test
	$(call step,helm,HELM=$(HELM) go test -C deploy/helm/check -count=1 ./...)

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME, 10s unless set
	@go list ./... | while read -r pkg; do \
		go test -list '^Fuzz' "$$pkg" | { grep '^Fuzz' || true; } | while read -r target; do \
			echo "== $$pkg $$target"; go test -run '^$$' -fuzz "^$$target$$" -fuzztime '$(FUZZTIME)' "$$pkg"; \
		done; \
	done

.PHONY: check
check: $(GOLANGCI) packages ## linters; generated files are up to date; VULNDB=file:///dir looks for known vulnerabilities
	$(call step,golangci-lint,$(GOLANGCI) run ./...)
	$(call step,gen leaves the tree clean,\
		before=$$(git status --porcelain; git diff | sha256sum); $(MAKE) --no-print-directory gen; \
		after=$$(git status --porcelain; git diff | sha256sum); \
		[ "$$before" = "$$after" ] || { git status --short; echo "make gen changed files: commit what it made" >&2; exit 1; })
ifdef VULNDB
	@$(MAKE) --no-print-directory vulncheck
endif

# The database may be a folder, for machines without the network: VULNDB=file:///dir
.PHONY: vulncheck
vulncheck: ## known vulnerabilities that the code can reach; VULNDB=file:///dir is a copy of the database
	$(call step,govulncheck,\
		go run golang.org/x/vuln/cmd/govulncheck@$(GOVULN_VERSION) $(if $(VULNDB),-db '$(VULNDB)') -test ./...)

.PHONY: licences
licences: ## the licences of all that is in the program; one that asks for more than to be named fails
	@go run ./internal/release -licences

.PHONY: unit
unit: programs ## how exposed the systemd unit is: 0 is best, 10 a service without any hardening
	@systemd-analyze security --offline=true --no-pager deploy/systemd/kentongan.service | tail -1

.PHONY: reproducible
reproducible: ## build the release twice, at two places, and compare the bytes: some minutes
	$(call step,two builds,go run ./internal/release -verify)

##@ Make

.PHONY: gen
gen: web ## write all generated files anew: web/dist and docs/configuration.md
	@mkdir -p $(MAKE_DIR)
	go run ./cmd/kentongan config doc >$(MAKE_DIR)/configuration.md
	cp $(MAKE_DIR)/configuration.md docs/configuration.md

.PHONY: web
web: web/node_modules/.package-lock.json ## build the pages that the binary holds (web/dist)
	cd web && npm run --silent build

.PHONY: release
release: ## archives for all platforms in dist/, with checksums and bills of materials
	go run ./internal/release -out dist

.PHONY: example
example: client ## build examples/nextjs against the npm packages, as an app does: about a minute, and not part of test
	$(call step,examples/nextjs,\
		cd examples/nextjs; npm ci --no-progress --ignore-scripts --no-audit --no-fund; NEXT_TELEMETRY_DISABLED=1 npx next build)

##@ Parts of test

.PHONY: programs
programs: ## install redis-server, postgresql, chromium, promtool, systemd-analyze and gcc if they are missing
	$(call step,programs,internal/testenv/install)

.PHONY: packages
packages: $(TESTENV_NPM)/node_modules/.package-lock.json web/node_modules/.package-lock.json ## install the npm packages

# Go asks for a module once, wherever it first needs it, and a registry may have a bad moment.
.PHONY: sources
sources: ## get the Go modules, those of the ACME authority of the tests among them
	$(call step,go modules,\
		for wait in 5 20 60 0; do \
			if out=$$(go mod download 2>&1 && go -C internal/testenv/pebble mod download 2>&1); then break; fi; \
			[ $$wait -gt 0 ] || { echo "$$out" >&2; exit 1; }; sleep $$wait; \
		done)

.PHONY: formatted
formatted: ## gofmt
	$(call step,gofmt,\
		bad=$$(find . -name '*.go' -not -path '*/node_modules/*' -print0 | xargs -0 gofmt -l); \
		[ -z "$$bad" ] || { echo "not formatted by gofmt:"; echo "$$bad"; exit 1; })

.PHONY: vet
vet: ## go vet, out of the build of the tests, with which it goes in make test
	$(call step,go vet,go vet -race ./...)

.PHONY: modules
modules: ## the modules are what go.sum says, and go.mod lists what is used
	$(call step,modules,go mod verify; go mod tidy -diff)

.PHONY: assets
assets: web/node_modules/.package-lock.json ## the tests of web/, and web/dist is what its sources build to
	$(call step,web,\
		kept=$$(mktemp -d); trap 'rm -rf "$$kept"' EXIT; cp -R web/dist "$$kept/dist"; cd web; \
		npm run --silent test >"$$kept/tests" 2>&1 || { cat "$$kept/tests"; exit 1; }; \
		sed -nE 's/^[#ℹ] ((tests|pass|fail|skipped) [0-9]+)$$/   \1/p' "$$kept/tests"; \
		if grep -qE '^[#ℹ] skipped [1-9]' "$$kept/tests"; then echo "a skipped test is one that nobody runs" >&2; exit 1; fi; \
		npm run --silent build; \
		diff -rq "$$kept/dist" dist || { echo "web/dist was not built from these sources: run make web and commit it" >&2; exit 1; })

# Colours would hide the words that are looked for.
.PHONY: client
client: web/node_modules/.package-lock.json ## types, build and tests of the npm packages web/client and web/react
	$(call step,client,\
		out=$$(mktemp); trap 'rm -f "$$out"' EXIT; cd web; \
		for run in check build test; do NO_COLOR=1 npm run --silent $$run --workspaces >"$$out" 2>&1 || { cat "$$out"; exit 1; }; done; \
		sed -nE 's/^ +(Tests .*)$$/   \1/p; s/^(.*: [0-9]+ bytes)$$/   \1/p' "$$out"; \
		if grep -qE '^ +Tests .*(skipped|todo)' "$$out"; then echo "a skipped test is one that nobody runs" >&2; exit 1; fi)

# npm writes node_modules/.package-lock.json last: it is newer than the lock file when that was installed wholly.
%/node_modules/.package-lock.json: %/package-lock.json %/package.json
	$(call step,npm ci in $*,\
		for wait in 5 20 60 0; do \
			if out=$$(cd $* && npm ci --no-progress --ignore-scripts 2>&1 </dev/null); then touch $@; break; fi; \
			[ $$wait -gt 0 ] || { echo "$$out" >&2; exit 1; }; sleep $$wait; \
		done)

$(GOLANGCI):
	$(call step,install golangci-lint,\
		GOBIN=$(dir $@) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION))

$(HELM):
	$(call step,install helm,GOBIN=$(dir $@) go install helm.sh/helm/v3/cmd/helm@$(HELM_VERSION))

.PHONY: help
help: ## print this
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
