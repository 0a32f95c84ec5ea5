# The commands to remember: make run · test · lint · bench · fuzz
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUST_SOURCES := $(shell find rust -name '*.rs' -o -name Cargo.toml) Cargo.toml
EXTENSION := python/mox/_rust.abi3.so
PEERS := dovecot-imapd dovecot-lmtpd postfix swaks libnet-ssleay-perl libauthen-sasl-perl isync curl mutt neomutt msmtp \
	fetchmail offlineimap3 unbound knot knot-dnsutils opendkim opendkim-tools gnutls-bin openssl pebble
RUN_ARGS ?=
TEST_ARGS ?=
export CARGO_TARGET_DIR ?= $(CURDIR)/target

.PHONY: run test lint format bench fuzz build peers clean

run: build
	exec $(BIN)/mox localserve $(RUN_ARGS)

build: $(VENV)/.ready $(EXTENSION)

$(VENV)/.ready: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --upgrade 'pip>=25.1'
	$(BIN)/pip install -q --group dev
	$(BIN)/maturin develop --release --quiet
	touch $@

$(EXTENSION): $(VENV)/.ready $(RUST_SOURCES)
	$(BIN)/maturin develop --release --quiet
	touch $@

# TEST_ARGS='-m "not interop"' leaves out what needs whole servers and real peers.
test: build
	cargo test --workspace --exclude pymox --quiet
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder $(TEST_ARGS)

lint: build
	$(BIN)/ruff check python tests benches
	$(BIN)/ruff format --check python tests benches
	$(BIN)/mypy
	cargo fmt --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --exclude pymox --no-deps --quiet
	MYPYPATH=python $(BIN)/stubtest mox._rust --ignore-disjoint-bases --allowlist .stubtest-allowlist
	$(BIN)/pytest tests/test_layers.py

format: build
	$(BIN)/ruff check --fix python tests benches
	$(BIN)/ruff format python tests benches
	cargo fmt

# BENCH_ARGS=--quick shows that every benchmark runs, in little time; its figures mean nothing.
QUICK := $(findstring --quick,$(BENCH_ARGS))
bench: build
	$(BIN)/python -m benches.servers $(BENCH_ARGS)
	$(BIN)/pytest benches --timeout 600 $(if $(QUICK),--benchmark-disable,--benchmark-only --benchmark-sort=name --benchmark-json=$(CARGO_TARGET_DIR)/benches.json)
	$(if $(QUICK),,$(BIN)/python -m benches.junk)
	$(if $(QUICK),,$(BIN)/python -m benches.instructions)
	cargo bench --workspace --exclude pymox --quiet --benches -- $(if $(QUICK),--test,--noplot)
	$(if $(QUICK),,$(BIN)/python -m benches.ratios $(CARGO_TARGET_DIR)/benches.json)

# Many random cases of every property test, then every libFuzzer target for FUZZ_SECONDS.
FUZZ_SECONDS ?= 60
fuzz: build
	PROPTEST_CASES=20000 cargo test --workspace --exclude pymox --release --quiet
	$(BIN)/pytest -m hypothesis --hypothesis-profile fuzz --timeout 1200
	fuzz/run $(FUZZ_SECONDS)

# Debian's servers and clients that the interop tests and the benchmarks use.
peers:
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(PEERS)

clean:
	rm -rf $(VENV) target $(EXTENSION) .mypy_cache .ruff_cache .pytest_cache
