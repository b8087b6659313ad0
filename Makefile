# Each target installs what it needs: npm's packages, and the distribution's by apt.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.NOTPARALLEL:
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

BIN := node_modules/.bin
MODULES := node_modules/.installed
BASELINE := proto/baseline.binpb
PODMAN_PACKAGES := podman runc netavark aardvark-dns iptables busybox-static catatonit
TEST_PACKAGES := $(PODMAN_PACKAGES) python3-grpcio python3-protobuf protobuf-compiler protobuf-compiler-grpc libprotobuf-dev docker-registry apache2-utils shellcheck zsh fish curl \
	zstd caddy prometheus prometheus-node-exporter redis-server redis-tools mosquitto mosquitto-clients

.PHONY: all bench build fault test vet lint format proto proto-lint proto-check proto-baseline schemas \
	mcp mcp-agent mcp-mcias demo demo-stop dist install uninstall clean

all: vet lint test build

$(MODULES): package-lock.json
	@scripts/install-modules.sh

vet: $(MODULES)
	$(BIN)/tsc --noEmit

lint: $(MODULES)
	$(BIN)/biome check
	node scripts/check-imports.mjs

# Puts the layout right; `lint` only looks.
format: $(MODULES)
	$(BIN)/biome check --write

proto: $(MODULES)
	$(BIN)/buf generate
	$(BIN)/buf generate test/grpc --template buf.gen.test.yaml

proto-lint: $(MODULES)
	$(BIN)/buf lint
	$(BIN)/buf breaking --against $(BASELINE)

# What `proto-lint` compares with. Renew it with a release: until then a new message may still change.
proto-baseline: $(MODULES)
	$(BIN)/buf build -o $(BASELINE)

# JSON Schemas and reference pages, made from the Schemas and commands; a test compares them.
schemas: $(MODULES)
	node scripts/schemas.mjs

proto-check: $(MODULES)
	@scripts/check-generated.sh

# A test of `install` has the programs already, while others run them: BUILD=true.
BUILD ?= node scripts/build.mjs
build: $(MODULES)
	$(BUILD)

mcp mcp-agent mcp-mcias: $(MODULES)
	$(BUILD) $@

# A folder and a tarball for each program, in release/.
dist: build
	@scripts/dist.sh

PREFIX ?= /usr/local
install: build
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' deploy/install.sh install --programs-only --from dist

uninstall:
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' deploy/install.sh uninstall --programs-only

test: vet lint proto-lint proto-check build
	@scripts/ensure-packages.sh $(TEST_PACKAGES)
	@node scripts/test.mjs

# The long form of the tests that kill the agent: at every call and in many more histories, and on real podman.
fault: build
	@scripts/ensure-packages.sh $(PODMAN_PACKAGES) zstd
	MCP_FAULT=full $(BIN)/vitest run --project unit test/programs/crash.test.ts test/programs/histories.test.ts test/layers/TarServiceData.restore.test.ts
	MCP_FAULT_ROUNDS=105 $(BIN)/vitest run --project e2e test/e2e/crash.test.ts test/e2e/crashPush.test.ts

# Side by side with others: `make bench ONLY=deploy-1,cli-ps` for some rows of docs/benchmarks.md, `RUNS=15` for more runs.
bench: build
	@scripts/ensure-packages.sh $(PODMAN_PACKAGES) podman-compose
	@scripts/bench/peers.sh
	@ONLY='$(ONLY)' RUNS='$(or $(RUNS),9)' node scripts/bench/run.mjs

demo: mcp mcp-agent mcp-mcias
	@scripts/ensure-packages.sh $(PODMAN_PACKAGES)
	@scripts/demo/start.sh

demo-stop:
	@scripts/demo/stop.sh

clean:
	rm -rf dist release .test .bench
