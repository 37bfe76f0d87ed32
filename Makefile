# The few commands that this project needs. `make test` is what CI runs.
CARGO ?= cargo


.PHONY: build capi test soak bench

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
	$(CARGO) test

soak: ## the long runs, with new seeds
	@tests/need
	CALC6_SOAK=1 $(CARGO) test --release -- --include-ignored

bench: ## server against floor, and every request's price
	$(CARGO) build --release
	$(CARGO) bench
