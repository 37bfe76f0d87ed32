# The few commands that this project needs. `make test` is what CI runs.
CARGO ?= cargo


.PHONY: build capi test soak fuzz bench

build: ## the three programs, in target/release
	$(CARGO) build --release

CAPI = $(CARGO) rustc --release --lib --no-default-features --features capi --crate-type
TARGET = $(or $(CARGO_TARGET_DIR),target)

capi: ## the course's two C functions: libcalc6.a, libcalc6.so and calc6.h, in target/release
	$(CAPI) staticlib
	$(CAPI) cdylib -- -C link-arg=-Wl,-soname,libcalc6.so
	cp src/capi/calc6.h $(TARGET)/release/

# Network namespaces need root, or a user namespace in which one is root; what is to be downloaded comes before that.
test: ## every check and test, in a few minutes
	@tests/need
	$(CARGO) fetch --locked
	@if [ "$$(id -u)" = 0 ]; then $(MAKE) --no-print-directory checks; \
	else CARGO_NET_OFFLINE=true exec unshare -Urn $(MAKE) --no-print-directory checks; fi

.PHONY: checks
checks:
	ip link set lo up
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --all-features -- -D warnings
	PROPTEST_RNG_SEED=6 $(CARGO) test

soak: ## the long runs, with new seeds
	@tests/need
	CALC6_SOAK=1 PROPTEST_CASES=10000 $(CARGO) test --release -- --include-ignored
	$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=600

FUZZ_TARGETS = request reply responder exchange expression view
FUZZ_SECONDS ?= 60

# libFuzzer's instrumentation is unstable in rustc; RUSTC_BOOTSTRAP=1 lets a stable one do it. What is found new stays in
# fuzz/target/corpus; fuzz/corpus holds the seeds.
fuzz: ## every fuzz target for FUZZ_SECONDS
	@$(CARGO) fuzz --version >/dev/null || { echo "cargo-fuzz is missing: cargo install cargo-fuzz" >&2; exit 1; }
	for target in $(FUZZ_TARGETS); do \
	  mkdir -p fuzz/target/corpus/$$target && \
	  RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run $$target fuzz/target/corpus/$$target fuzz/corpus/$$target -- \
	    -max_total_time=$(FUZZ_SECONDS) -max_len=1300 -timeout=10 -print_final_stats=1 || exit 1; \
	done

bench: ## server against floor, and every request's price
	$(CARGO) build --release
	$(CARGO) bench
