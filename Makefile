# The daily commands. What they do is Rust: `cargo xtask`.

export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/millrace/target
# A shell that has not read ~/.cargo/env finds cargo all the same.
export PATH := $(PATH):$(HOME)/.cargo/bin
# Where `make run` keeps its database; git ignores the default.
DATA ?= millrace-data

.PHONY: help run up-distributed test check-deploy check fix bench shots tools
.DEFAULT_GOAL := help

help:   ## List these commands.
	@grep -hE '^[a-z-]+: .*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 8

# The optimised build that the tests use: it spares the minutes of link-time optimisation.
run: tools   ## Run every service in one process, with demo data: HTTP 127.0.0.1:8090, gRPC 127.0.0.1:9090.
	@cargo xtask ui build --if-node
	cargo run --profile ship-test --locked -p millrace -- up --demo --data $(DATA)

up-distributed: tools   ## Run a process per service over Kafka, PostgreSQL and Redis until Ctrl-C (TRACE=1: with Zipkin; CHECK=1: try it, stop).
	@cargo xtask ui build --if-node
	cargo build --profile ship-test --locked -p millrace
	@DATA=$(DATA) MILLRACE_BIN=$(CARGO_TARGET_DIR)/ship-test/millrace cargo xtask up-distributed $(if $(CHECK),--check)

test: check   ## Run the checks, then every test; the last line is the totals.
	@echo "== the browser interface"
	@cargo xtask ui build
	@echo "== the product, optimised, for the tests that start it"
	cargo build --locked --profile ship-test -p millrace
	@echo "== all tests: unit, property, golden files, flows and faults; then the browser's"
	@MILLRACE_BIN=$(CARGO_TARGET_DIR)/ship-test/millrace cargo xtask test

check-deploy: tools   ## Check the rules, the chart and the compose file by the tools that read them.
	@cargo xtask deploy check

check: tools   ## Run every gate: format, words, house rules, lints, docs, dependencies.
	@cargo xtask ci

fix: tools   ## Apply lint fixes and format.
	@cargo xtask fix

bench: tools   ## Measure; takes minutes and wants a quiet machine.
	cargo run --release --locked -p benches

shots: tools   ## Take pictures of every page of the browser interface, for people to look at.
	@cargo xtask ui build
	cargo build --locked --profile ship-test -p millrace
	@MILLRACE_BIN=$(CARGO_TARGET_DIR)/ship-test/millrace cargo xtask ui shots

tools:
	@command -v cargo >/dev/null || { echo "cargo is missing: install Rust 1.95 or newer from https://rustup.rs" >&2; exit 1; }
	@cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 || { echo "rustfmt or clippy is missing: rustup component add rustfmt clippy" >&2; exit 1; }
	@command -v cc >/dev/null || { echo "a C compiler is missing (SQLite is compiled in): apt-get install gcc libc6-dev" >&2; exit 1; }
