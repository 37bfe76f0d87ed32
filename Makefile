# The few commands that this project needs. `make test` is what CI runs.
CARGO ?= cargo

.PHONY: build capi playground playground-test deps test cross docs install deb dist dist-test image image-test package soak fuzz bench audit

build: ## the three programs, in target/release
	$(CARGO) build --release

TARGET = $(or $(CARGO_TARGET_DIR),target)

# How a program finds the library when it starts: an ELF name, or on macOS a path.
SONAME = $(if $(filter Darwin,$(shell uname)),-install_name$(comma)@rpath/libcalc6.dylib,-soname$(comma)libcalc6.so)
comma = ,

capi: ## the course's C functions: libcalc6.a, libcalc6.so (.dylib on macOS) and calc6.h, in target/release
	@if [ "$(OS)" = Windows_NT ]; then echo "there is no C interface on Windows: its sockets are not those of the course" >&2; exit 1; fi
	$(CARGO) rustc --release --lib --no-default-features --features capi --crate-type staticlib,cdylib -- \
	  -C link-arg=-Wl,$(SONAME)
	cp src/capi/calc6.h $(TARGET)/release/

deps: ## as root: the Debian packages that the tests need
	tests/need --install

# Network namespaces need root, or a user namespace in which the user is root; downloads come before that. A namespace
# has IPv6 although it is off outside, as is usual in containers.
test: ## every check and test, in a few minutes
	@tests/need
	$(CARGO) fetch --locked
	@if [ "$$(id -u)" != 0 ]; then inside='unshare -Urn'; \
	elif [ "$$(cat /proc/sys/net/ipv6/conf/lo/disable_ipv6)" != 0 ]; then inside='unshare -n'; \
	  echo 'IPv6 is off on this machine: the tests run in a network namespace, where it is on'; fi; \
	if [ -n "$$inside" ] && ! $$inside true; then \
	  echo 'the tests need network namespaces: run them as root, or allow user namespaces (in a container: --privileged)' >&2; \
	  exit 1; fi; \
	if [ -z "$$inside" ]; then $(MAKE) --no-print-directory checks; \
	else CARGO_NET_OFFLINE=true exec $$inside $(MAKE) --no-print-directory checks; fi

# A launcher in place of python3, such as pyenv's, takes as much time as Python itself, hundreds of times.
.PHONY: checks
checks:
	ip link set lo up
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --no-deps --all-features
	tests/features
	@$(MAKE) --no-print-directory msrv
	@python=$$(python3 -c 'import sys; print(sys.executable)') && \
	if [ "$$python" != "$$(command -v python3)" ]; then PATH="$${python%/*}:$$PATH"; fi && \
	PROPTEST_RNG_SEED=6 $(CARGO) test --features tokio --no-fail-fast

cross: ## every other system: compiled for each, and run where this machine can (qemu-user, Wine)
	tests/cross

MSRV = $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

.PHONY: msrv
msrv: ## build with the oldest Rust that Cargo.toml names, if installed
	@if rustup toolchain list 2>/dev/null | grep -q '^$(MSRV)'; then \
	  CARGO_TARGET_DIR=$(TARGET)/msrv cargo +$(MSRV) check --all-features; \
	else echo "Rust $(MSRV) is not installed, so not checked here: rustup toolchain install $(MSRV) --profile minimal"; fi

PACKAGES = Cargo.toml fuzz/Cargo.toml bin/playground/Cargo.toml
DENY = $(CARGO) deny --locked --config deny.toml --manifest-path

audit: ## licences, sources and advisories of every dependency
	@$(CARGO) deny --version >/dev/null 2>&1 || { echo "cargo-deny is missing: cargo install --locked cargo-deny" >&2; exit 1; }
	for package in $(PACKAGES); do $(DENY) $$package check licenses bans sources || exit 1; done
	@$(CARGO) deny fetch db || { echo "licences and sources were checked, advisories were not: they need" \
	  "https://github.com/RustSec/advisory-db (the lines above say why it cannot be fetched)" >&2; exit 1; }
	for package in $(PACKAGES); do $(DENY) $$package check advisories || exit 1; done

PLAYGROUND = $(TARGET)/playground

playground: ## a page in which every bit of a datagram can be flipped, in target/playground/index.html
	docs/playground/build $(PLAYGROUND)

# npm installs the two packages that docs/playground/package-lock.json names, beside the page's build.
playground-test: playground ## the page in headless Chromium, against the words of lab explain
	@tests/need --playground
	$(CARGO) build --bin lab
	mkdir -p $(TARGET)/playground-test && cp docs/playground/package*.json $(TARGET)/playground-test
	npm ci --prefix $(TARGET)/playground-test --silent --no-audit --no-fund
	NODE_PATH=$(TARGET)/playground-test/node_modules node docs/playground/test.js $(PLAYGROUND)/index.html $(TARGET)/debug/lab

MANUAL = $(TARGET)/manual

docs: ## man pages, and completions for bash, zsh and fish, in target/manual
	$(CARGO) build --release --quiet --bins
	for program in $(PROGRAMS); do $(TARGET)/release/$$program --generate $(MANUAL) || exit 1; done

PREFIX ?= /usr/local
DESTDIR ?=
# LINKS=1 also installs links by the programs' plain names: server, client, lab.
LINKS ?=
PROGRAMS = server client lab
ROOT = $(DESTDIR)$(PREFIX)
# Everything that the pages link to, at its path beside README.md, except the sources.
DOCUMENTS = $(shell find README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md LICENSE-MIT LICENSE-APACHE src/capi/calc6.h \
  docs tests/tour -type f ! -name '*.rs')
INSTALL = install -D -m 644

install: ## programs, man pages, completions, documents and units, below PREFIX (/usr/local) in DESTDIR; LINKS=1
	@if command -v $(firstword $(CARGO)) >/dev/null; then $(MAKE) --no-print-directory build docs; \
	elif [ ! -x $(TARGET)/release/server ] || [ ! -d $(MANUAL) ]; then \
	  echo "cargo is not at hand here: first, where it is, make build docs" >&2; exit 1; fi
	for page in $(MANUAL)/man1/*.1; do $(INSTALL) $$page $(ROOT)/share/man/man1/$${page##*/} || exit 1; done
	for name in $(PROGRAMS:%=calc6-%); do \
	  install -D -m 755 $(TARGET)/release/$${name#calc6-} $(ROOT)/bin/$$name && $(completions) || exit 1; \
	done
	for name in $(if $(LINKS),$(PROGRAMS)); do \
	  ln -sf calc6-$$name $(ROOT)/bin/$$name && \
	  ln -sf calc6-$$name.1 $(ROOT)/share/man/man1/$$name.1 && $(completions) || exit 1; \
	done
	$(call documents,$(ROOT)/share/doc/calc6)
	if [ -f $(PLAYGROUND)/index.html ]; then $(INSTALL) $(PLAYGROUND)/index.html $(ROOT)/share/doc/calc6/docs/playground/index.html; fi
	$(INSTALL) docs/wireshark/calc6.lua $(ROOT)/share/calc6/calc6.lua
	$(INSTALL) docs/systemd/calc6.socket $(ROOT)/lib/systemd/system/calc6.socket
	$(call unit,$(PREFIX)/bin) >$(ROOT)/lib/systemd/system/calc6.service

completions = $(INSTALL) $(MANUAL)/bash/$$name.bash $(ROOT)/share/bash-completion/completions/$$name && \
	  $(INSTALL) $(MANUAL)/zsh/_$$name $(ROOT)/share/zsh/site-functions/_$$name && \
	  $(INSTALL) $(MANUAL)/fish/$$name.fish $(ROOT)/share/fish/vendor_completions.d/$$name.fish

documents = for file in $(DOCUMENTS); do $(INSTALL) $$file $(1)/$$file || exit 1; done

# The unit of the service, for a program in this folder.
unit = sed 's|^ExecStart=.*|ExecStart=$(1)/calc6-server|' docs/systemd/calc6.service

deb: build docs ## a Debian package, in target/debian; its installation starts nothing
	@$(CARGO) deb --version >/dev/null 2>&1 || { echo "cargo-deb is missing: cargo install cargo-deb" >&2; exit 1; }
	mkdir -p $(MANUAL)/systemd
	rm -rf $(MANUAL)/doc && $(call documents,$(MANUAL)/doc)
	$(call unit,/usr/bin) >$(MANUAL)/systemd/calc6.service
	$(CARGO) deb --no-build --output $(TARGET)/debian/calc6.deb
	tests/deb $(TARGET)/debian/calc6.deb

# TARGETS: of packaging/targets; without, all for which this machine has what it takes.
TARGETS ?=

dist: ## archives of static programs for those without Rust, with checksums, in target/dist
	@tests/need --dist
	@DOCUMENTS='$(DOCUMENTS)' packaging/dist $(TARGETS)

NATIVE = $(shell uname -m)-unknown-linux-musl

dist-test: ## builds an archive in two folders, compares the octets, and runs its programs in an empty root
	@$(MAKE) --no-print-directory dist TARGETS=$(NATIVE)
	tests/dist $(TARGET)/dist

image: ## container images of the programs in target/dist: OCI's format, and Docker's
	@tests/need --image
	@[ -f $(TARGET)/dist/SHA256SUMS ] || $(MAKE) --no-print-directory dist TARGETS=$(NATIVE)
	packaging/image $(TARGET)/dist

image-test: image ## the image in a container, and the files of docs/deploy against their schemas
	tests/image $(TARGET)/dist
	tests/deploy

package: ## the crate, as it would be published, built from what it holds
	$(CARGO) package

soak: ## the long runs, with new seeds
	@tests/need
	CALC6_SOAK=1 PROPTEST_CASES=10000 $(CARGO) test --release --features tokio -- --include-ignored
	$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=600

FUZZ_TARGETS = request reply responder exchange expression view
FUZZ_SECONDS ?= 60

# libFuzzer's instrumentation is unstable in rustc; RUSTC_BOOTSTRAP=1 lets a stable one do it. New inputs stay in
# fuzz/target/corpus; fuzz/corpus holds the seeds.
fuzz: ## every fuzz target for FUZZ_SECONDS
	@$(CARGO) fuzz --version >/dev/null || { echo "cargo-fuzz is missing: cargo install cargo-fuzz" >&2; exit 1; }
	for target in $(FUZZ_TARGETS); do \
	  mkdir -p fuzz/target/corpus/$$target && \
	  RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run $$target fuzz/target/corpus/$$target fuzz/corpus/$$target -- \
	    -max_total_time=$(FUZZ_SECONDS) -max_len=1300 -timeout=10 -print_final_stats=1 || exit 1; \
	done

bench: ## server against floor, and the cost of every request
	$(CARGO) build --release
	$(CARGO) bench
