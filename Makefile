# `make` lists the targets. GO, P (packages without services tested side by side), FUZZTIME and RUN may be set on the command line.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS   += --no-print-directory

GO       ?= go
P        ?= 2
FUZZTIME ?= 10s
TIMEOUT  ?= 30m
RUN      ?=
TESTFLAGS = -race -shuffle=on -timeout $(TIMEOUT) $(if $(RUN),-run '$(RUN)')

# Packages that share the services, and machines of two cores with them. They have them one after the other: an outage that one makes,
# or the load of its devices, is nothing that another one asked for.
SHARING  := ./amqp/client ./bench/suite ./gateway/e2e/... ./sessionstore/redis
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS  := -s -w -X main.version=$(VERSION)

GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK   := golang.org/x/vuln/cmd/govulncheck@v1.8.0
SERVICES      := scripts/services

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  %-14s %s\n", $$1, $$2 }'

.PHONY: build
build: ## build bin/sluice, static
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/sluice ./cmd/sluice

.PHONY: test
test: check services-up ## everything: checks, then all tests with the race detector, against real services
	@eval "$$($(SERVICES) env)"; \
	sharing=$$($(GO) list $(SHARING)); \
	others=$$($(GO) list ./... | grep -vxF "$$sharing"); \
	failed=0; \
	$(GO) test $(TESTFLAGS) -p $(P) $$others || failed=1; \
	$(GO) test $(TESTFLAGS) -p 1 $$sharing || failed=1; \
	exit $$failed

.PHONY: test-artemis
test-artemis: toolchain services-up ## of all tests those against ActiveMQ Artemis
	@eval "$$($(SERVICES) env)"; \
	$(GO) test -race -shuffle=on -timeout $(TIMEOUT) -run '^TestArtemis' ./amqp/client && \
	$(GO) test -race -shuffle=on -timeout $(TIMEOUT) -run '/artemis' ./gateway/e2e ./gateway/e2e/faults

.PHONY: check
check: toolchain fmt-check vet imports-check ## what needs no service: toolchain, gofmt, go vet, import rules, known vulnerabilities if their database can be reached
	@GO='$(GO)' scripts/vulncheck $(GOVULNCHECK) --unreachable-ok

.PHONY: toolchain
toolchain: ## make sure that Go and a C compiler (for the race detector) are there
	@scripts/toolchain

.PHONY: fmt-check
fmt-check: ## fail if gofmt would change a file
	@unformatted=$$(git ls-files -z --cached --others --exclude-standard -- '*.go' | xargs -0 -r ls -d 2>/dev/null | xargs -r gofmt -l); \
	if [ -n "$$unformatted" ]; then printf 'gofmt would change these; run: make fmt\n%s\n' "$$unformatted" >&2; exit 1; fi

.PHONY: fmt
fmt: ## format all Go files
	gofmt -w $$(git ls-files --cached --others --exclude-standard -- '*.go')

.PHONY: vet
vet: ## go vet
	$(GO) vet ./...

.PHONY: imports-check
imports-check: ## fail if a package imports against the one direction, or a pure folder is not pure
	$(GO) test -count=1 -run 'Imports|Pure|Files|Package|Sleep' ./gateway

.PHONY: docs
docs: ## write docs/configuration.md, docs/conformance.md and the tables of docs/errors.md anew
	$(GO) run ./cmd/sluice config > docs/configuration.md
	$(GO) test -count=1 ./mqtt/conformance -run TestDocument -rewrite
	$(GO) test -count=1 ./mapping/failure -run TestDocument -rewrite

.PHONY: lint
lint: ## golangci-lint, pinned
	$(GO) run $(GOLANGCI_LINT) run ./...

.PHONY: vulncheck
vulncheck: toolchain ## known vulnerabilities in what the code reaches; fails where their database cannot be reached
	@GO='$(GO)' scripts/vulncheck $(GOVULNCHECK)

.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME (10s)
	@grep -rlE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*\(' . | while read -r file; do \
		for target in $$(sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' "$$file"); do \
			echo "--- $$target in $$(dirname "$$file")"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$(dirname "$$file")" </dev/null; \
		done; \
	done

# The short chaos run is one of the tests. This is the long one: CHAOS_SECONDS, CHAOS_KILLS, CHAOS_FAILOVERS, CHAOS_RESTART_BUS, CHAOS_PROFILE,
# CHAOS_DEVICES, CHAOS_RATE and CHAOS_SEED change it; see gateway/e2e/chaos/doc.go. What it breaks of Redis and RabbitMQ is its own.
CHAOS_SECONDS     ?= 300
CHAOS_KILLS       ?= 40
CHAOS_FAILOVERS   ?= $(if $(filter standard,$(CHAOS_PROFILE)),0,4)
CHAOS_RESTART_BUS ?= 1

.PHONY: chaos
chaos: services-up ## break six nodes, Redis and RabbitMQ under load for CHAOS_SECONDS (300), and print the figures
	@eval "$$($(SERVICES) env)"; \
	CHAOS_SECONDS=$(CHAOS_SECONDS) CHAOS_KILLS=$(CHAOS_KILLS) CHAOS_FAILOVERS=$(CHAOS_FAILOVERS) CHAOS_RESTART_BUS=$(CHAOS_RESTART_BUS) \
	$(GO) test -race -count=1 -v -timeout $$(( $(CHAOS_SECONDS) + 600 ))s -run TestChaos ./gateway/e2e/chaos

# It measures on services of its own and writes docs/performance.md. BENCH_TIME is about how long it takes in all, BENCH_FULL=1 the whole grid,
# BENCH_SCENARIOS some of: uplink downlink idle nodes recovery storm neighbour growth hold holdmany. Without it, all but hold and holdmany, which keep 15,000 and 60,000
# connections for BENCH_HOLD. What dist/bench has of this revision is not measured again (BENCH_FRESH=1: it is).
BENCH_TIME      ?= 25m
BENCH_HOLD      ?= 10m
BENCH_ROUNDS    ?= 2
BENCH_SCENARIOS ?=
BENCH_FULL      ?=
BENCH_FRESH     ?=

.PHONY: bench
bench: ## measure Sluice beside RabbitMQ's MQTT plugin, a bare publisher and mosquitto; writes docs/performance.md
	@$(GO) run ./bench -time $(BENCH_TIME) -hold $(BENCH_HOLD) -rounds $(BENCH_ROUNDS) -scenarios '$(BENCH_SCENARIOS)' $(if $(BENCH_FULL),-full) $(if $(BENCH_FRESH),-fresh)

.PHONY: bench-page
bench-page: ## write docs/performance.md anew from what was measured
	@$(GO) run ./bench -page

.PHONY: bench-compare
bench-compare: services-up ## Go benchmarks of the working tree against revision OLD
	@eval "$$($(SERVICES) env)"; scripts/bench-compare '$(OLD)'

.PHONY: golden
golden: ## write the golden files anew; read the diff before committing it
	grep -rl --include='*_test.go' 'flag.Bool("rewrite"' . | xargs -n 1 dirname | sort -u | xargs -I{} $(GO) test {} -rewrite
	git diff --stat -- '*/testdata/*'

.PHONY: services-up
services-up: ## start RabbitMQ, Artemis, Redis and the third-party clients for the tests
	@$(SERVICES) up

.PHONY: services-down
services-down: ## stop what services-up started
	@$(SERVICES) down

.PHONY: compose-up
compose-up: ## three nodes behind HAProxy, with Redis and RabbitMQ, by docker compose
	docker compose up --build --detach --wait
	@echo 'MQTT on localhost:1883, HAProxy statistics on http://localhost:8404, RabbitMQ management on http://localhost:15672 (sluice/sluice)'

.PHONY: compose-down
compose-down: ## stop it and forget its data
	docker compose down --volumes

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist

.PHONY: sim
sim: ## simulate several nodes with faults: SEEDS=2000 of them, or SEED=17 with its whole trace
	@SEEDS='$(SEEDS)' SEED='$(SEED)' $(GO) test -count=1 -timeout $(TIMEOUT) -run 'TestSeeds' $(if $(SEED),-v) ./gateway/sim

.PHONY: falseack
falseack: ## 100,000 publishes against a bus that does everything wrong; none is acknowledged falsely (PUBLISHES, SEED)
	@SLUICE_FAULT_PUBLISHES='$(or $(PUBLISHES),100000)' SLUICE_FAULT_SEED='$(SEED)' $(GO) test -count=1 -v -timeout $(TIMEOUT) -run '^TestNoFalseAcknowledgement$$' ./gateway

.PHONY: canary
canary: ## plant defects in the production code and see that the simulation finds each
	@$(GO) run ./gateway/sim/canary
