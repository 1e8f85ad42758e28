# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
#
# make build    out/bin/aliquot and the simulated NVML, installing what is missing (Debian 12)
# make demo     the whole story on a simulated node: no GPU, no cluster
# make test     build, then every test of tiers 1 and 2
# make test-cluster  build, then the stories of tier 3 on a real Kubernetes
#                    (docs/testing-on-kubernetes.md)
# make check    what CI adds: format, layers, sanitizers, fuzz targets
# make bench    the figures of docs/benchmarks.md

JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 60
# The gate tries the same inputs every time; FUZZ_SEED=0 looks for new ones.
FUZZ_SEED ?= 1
# So do properties; RC_PARAMS= draws new ones.
export RC_PARAMS ?= seed=1
CTEST = ctest --output-on-failure --no-tests=error -j$(JOBS)

# A compiler cache serves every clone of the project, wherever it is.
export CCACHE_BASEDIR := $(CURDIR)
export CCACHE_NOHASHDIR := 1

.PHONY: build demo test test-cluster check bench deps format format-check layers asan tsan fuzz clean

deps:
	@tools/install-deps.sh

build: deps
	@cmake --preset ci $(CMAKE_QUIET)
	@cmake --build build/ci -j$(JOBS)

demo: build
	@out/bin/aliquot demo

test: build
	@$(CTEST) --test-dir build/ci

test-cluster: build
	@tests/cluster/run $(CLUSTER_FLAGS)

check: deps format-check layers asan tsan fuzz

format:
	@tools/format.sh

format-check: deps
	@tools/format.sh --check

layers:
	@tools/check-layers.py

asan tsan: deps
	@cmake --preset $@ -DALIQUOT_WERROR=ON $(CMAKE_QUIET)
	@cmake --build build/$@ -j$(JOBS)
	@$(CTEST) --test-dir build/$@

fuzz: deps
	@cmake --preset fuzz $(CMAKE_QUIET)
	@cmake --build build/fuzz -j$(JOBS) --target fuzzers
	@tools/fuzz.sh build/fuzz $(FUZZ_SECONDS) $(FUZZ_SEED)

bench: build
	@bench/run.sh

clean:
	@rm -rf build out
