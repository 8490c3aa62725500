# The commands of a checkout; `make quickstart` and `make test` are all a newcomer needs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
export NPM_CONFIG_FUND := false

.PHONY: help install quickstart check crds test bench-policy bench-capture soak build

help: ## Show the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

install: node_modules/.rowseal-installed ## Install the pinned dependencies, Node.js 24 among them

node_modules/.rowseal-installed: package.json package-lock.json
	@scripts/install
	@touch $@

quickstart: install ## Two tenants, enforced rows, a sealed and verified log, in a minute; KEEP=1 keeps it running
	@exec node scripts/quickstart.ts

check: install ## Types, lint, architecture, generated files, unused code
	npm run --silent check:types
	npm run --silent check:lint
	npm run --silent check:architecture
	npm run --silent crds -- --check
	npm run --silent check:unused

crds: install ## Generate crds/ from the schemas in src/model
	npm run --silent crds

test: install ## Everything, on real parts: PostgreSQL, Kubernetes API server, S3 with Object Lock
	@scripts/test

bench-policy: install ## What policies cost: predicates, signed claims, 10,000 planned and linted, drift; ROWS and ROUNDS make it smaller
	@node scripts/bench/predicates.ts
	@node scripts/bench/claims.ts
	@node scripts/bench/policies.ts
	@node scripts/bench/drift.ts

bench-capture: install ## What capturing costs and how fast it is, beside Debezium, pgaudit, a row trigger; ROUNDS, SECONDS, CHANGES make it smaller
	@node scripts/bench/capture/main.ts

soak: install ## The properties at length: policies under 1,000 pairs and 100 transitions, capturing under 1,000 faults
	@ROWSEAL_PAIRS=1000 ROWSEAL_TRANSITIONS=100 ROWSEAL_KILLED_TRANSITIONS=20 vitest run test/properties --testTimeout=7200000
	@ROWSEAL_KILLS=200 ROWSEAL_FAULTS=1000 ROWSEAL_ORACLE_TRANSACTIONS=2000 ROWSEAL_MAJORS=all vitest run test/end-to-end/kill.test.ts test/audit-soak test/audit-oracle --testTimeout=7200000

build: install ## Compile to dist/ for shipping
	npm run --silent build
