# The commands of the project; each is a script in scripts/. ARGS="..." is handed on; PYTHON=3.12 or PYTHON=/path picks
# an interpreter.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test check bench docs loom mutants stress sanitize format coverage release-notes clean
export PYTHON

help:           ## this list
	@scripts/help
demo:           ## run the trading swarm (ARGS="--help" tells its options)
	@scripts/demo $(ARGS)
test:           ## all tests, on every supported CPython of this machine, or PYTHON only
	@scripts/test $(ARGS)
check:          ## linters, formatters and type checkers, without changing a file
	@scripts/check
loom:           ## model-check the kernel's lock-free parts (part of make test)
	@scripts/loom $(ARGS)
mutants:        ## plant bugs in the kernel, and see that the models find every one
	@scripts/mutants $(ARGS)
stress:         ## the long version of the kernel's stress tests (SECONDS_EACH=30)
	@scripts/stress $(ARGS)
sanitize:       ## the kernel under AddressSanitizer and ThreadSanitizer
	@scripts/sanitize $(ARGS)
bench:          ## the benchmarks of message passing, beside their floors and peers
	@scripts/bench $(ARGS)
docs:           ## build the documentation into site/ (ARGS=serve shows it while you write)
	@scripts/docs $(ARGS)
format:         ## format Python and Rust, and fix what linters can fix
	@scripts/format
coverage:       ## which lines of the Python half the tests run
	@scripts/coverage $(ARGS)
release-notes:  ## collect changelog.d/ into CHANGELOG.md for the version in Cargo.toml
	@scripts/release-notes $(ARGS)
clean:          ## remove everything that these commands have made
	@scripts/clean
