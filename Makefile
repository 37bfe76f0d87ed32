# The few commands that this project needs. `make test` is what CI runs.
CARGO ?= cargo

.PHONY: build test soak

build: ## the three programs, in target/release
	$(CARGO) build --release

# Network namespaces need root, or a user namespace of one's own in which one is root.
test: ## every check and test, in a few minutes
	@if [ "$$(id -u)" = 0 ]; then $(MAKE) --no-print-directory test-as-root; \
	else exec unshare --user --map-root-user --net $(MAKE) --no-print-directory test-as-root; fi

.PHONY: test-as-root
test-as-root:
	@tests/need
	ip link set lo up
	$(CARGO) fmt --check
	$(CARGO) build --release
	$(CARGO) clippy --all-targets -- -D warnings
	$(CARGO) test --release

soak: ## the long runs, with new seeds
	@tests/need
	CALC6_SOAK=1 $(CARGO) test --release -- --include-ignored
