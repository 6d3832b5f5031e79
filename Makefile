# Invar: `make help` lists what can be asked of this file.

VARIANT ?= release
BUILD := build/$(VARIANT)
PREFIX ?= /usr/local
DESTDIR ?=
CC ?= gcc
CXX ?= g++
VERSION := $(shell cat VERSION)
FAISS_PREFIX ?= $(shell deploy/install-faiss.sh --print-prefix)

WARN := -Wall -Wextra -Wshadow -Wundef -Wformat=2 -Wcast-qual \
	-Wdouble-promotion -Wnull-dereference
CWARN := $(WARN) -Wpedantic -Wconversion -Wno-sign-conversion \
	-Wstrict-prototypes -Wmissing-prototypes -Wvla
ifeq ($(WERROR),1)
CWARN += -Werror
endif

HARDEN := -fstack-protector-strong -fPIE
ifeq ($(VARIANT),release)
OPT := -O2 -g -D_FORTIFY_SOURCE=3 -DNDEBUG
else ifeq ($(VARIANT),debug)
OPT := -O0 -g3
else ifeq ($(VARIANT),asan)
OPT := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=undefined
CWARN += -Wno-null-dereference -Wno-maybe-uninitialized
else ifeq ($(VARIANT),tsan)
OPT := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
CWARN += -Wno-null-dereference -Wno-maybe-uninitialized
else
$(error VARIANT must be release, debug, asan or tsan, not '$(VARIANT)')
endif

CPPFLAGS += -I. -D_GNU_SOURCE -DINV_VERSION='"$(VERSION)"'
CFLAGS_ALL := -std=c11 $(OPT) $(HARDEN) $(CWARN) $(CFLAGS)
# FAISS' headers copy empty tables: memcpy of no bytes from NULL.
ifeq ($(VARIANT),asan)
CXXSANITIZE := -fno-sanitize=nonnull-attribute
endif
CXXFLAGS_ALL := -std=c++17 $(OPT) $(HARDEN) $(WARN) $(CXXSANITIZE) -isystem $(FAISS_PREFIX)/include \
	-fopenmp $(CXXFLAGS)
LDFLAGS_ALL := $(OPT) -pie -Wl,-z,relro,-z,now $(LDFLAGS)
LIBS := -L$(FAISS_PREFIX)/lib -lfaiss_c -lfaiss -lmicrohttpd -ljansson \
	-lsqlite3 -lcurl -lutf8proc -llapacke -llapack -lopenblas -lz -lgomp \
	-lpthread -lm

SOURCES := $(filter-out server/main.c,$(wildcard base/*.c \
	encoders/*.c encoders/*/*.c index/*.c server/*.c server/*/*.c))
CLI_SOURCES := $(filter-out cli/main.c,$(wildcard cli/*.c))
CXXSOURCES := $(wildcard index/*.cc)
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o) $(CXXSOURCES:%.cc=$(BUILD)/%.o) \
	$(BUILD)/migrations.o
LIBRARY := $(BUILD)/libinvar.a
CLI_LIBRARY := $(BUILD)/libinvarcli.a
PROGRAMS := $(BUILD)/invard $(BUILD)/invar

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.PHONY: all help deps faiss demo test lint check-asan check-tsan bench \
	bench-scifact fuzz crash install clean

all: $(PROGRAMS) ## build invard and invar (VARIANT=release|debug|asan|tsan)

$(BUILD)/invard: $(BUILD)/server/main.o $(LIBRARY)
$(BUILD)/invar: $(BUILD)/cli/main.o $(CLI_LIBRARY) $(LIBRARY)
$(PROGRAMS):
	@echo "  link    $@"
	@$(CXX) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

$(LIBRARY): $(OBJECTS)
$(CLI_LIBRARY): $(CLI_SOURCES:%.c=$(BUILD)/%.o)
$(LIBRARY) $(CLI_LIBRARY):
	@rm -f $@
	@ar rcs $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  compile $<"
	@$(CC) $(CPPFLAGS) $(CFLAGS_ALL) $(CFLAGS_$(notdir $*)) -MMD -MP -c -o $@ $<

$(BUILD)/%.o: %.cc
	@mkdir -p $(@D)
	@echo "  compile $<"
	@$(CXX) $(CPPFLAGS) $(CXXFLAGS_ALL) -MMD -MP -c -o $@ $<

# The numbered migrations travel inside the daemon, as one generated table.
$(BUILD)/migrations.c: $(wildcard migrations/*.sql) migrations/embed.sh
	@mkdir -p $(@D)
	@migrations/embed.sh > $@
$(BUILD)/migrations.o: $(BUILD)/migrations.c
	@$(CC) $(CPPFLAGS) $(CFLAGS_ALL) -c -o $@ $<

# Kernels: the only place for instruction sets and relaxed float rules.
CFLAGS_kernels_scalar := -O3
CFLAGS_kernels_avx2 := -O3 -mavx2 -mfma -mf16c -mpopcnt -ffp-contract=fast
CFLAGS_kernels_avx512 := -O3 -mavx512f -mavx512bw -mavx512vl -mavx512dq \
	-mavx2 -mfma -mf16c -mpopcnt -ffp-contract=fast

# FAISS' C API is seen by one file.
CFLAGS_faiss_ann := -isystem $(FAISS_PREFIX)/include

# Tests: every tests/**/test_*.c is one Check program.
TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/*/test_*.c tests/*/*/test_*.c tests/*/*/*/test_*.c))
TEST_SUPPORT := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/support/*.c))
tests-build: $(TESTS) ## build every test program
$(filter $(BUILD)/tests/unit/cli/%,$(TESTS)): $(CLI_LIBRARY)
$(TESTS): $(BUILD)/%: $(BUILD)/%.o $(TEST_SUPPORT) $(LIBRARY)
	@echo "  link    $@"
	@$(CXX) $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) \
		$(filter %cli.a,$^) $(LIBRARY) $(LIBS) -lcheck -lsubunit -lrt
# Torture: the linker leads these calls through faults.c, which lets them fail.
FAULTS := malloc calloc realloc strdup strndup mmap write pwrite fsync \
	fdatasync ftruncate rename
$(BUILD)/tests/torture/test_torture: $(BUILD)/tests/torture/faults.o
$(BUILD)/tests/torture/test_torture: LIBS += $(FAULTS:%=-Wl,--wrap=%)
tests-list:
	@printf '%s\n' $(TESTS)
.PHONY: tests-build tests-list
.SECONDARY:

# The scripts below call make themselves: the options of this run reach them as
# environment variables, the job server does not.
SCRIPT := env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL VARIANT=$(VARIANT) WERROR=$(WERROR)

deps: ## install the Debian packages (root or sudo)
	@deploy/install-deps.sh

faiss: deps ## build FAISS with its C API once, outside the checkout
	@deploy/install-faiss.sh

demo: ## SciFact, questions and answers (KEEP=1: stays up until Ctrl-C)
	@$(SCRIPT) KEEP=$(KEEP) demo/run.sh

test: ## every test, quick ones first, style last
	@$(SCRIPT) tests/run.sh

lint: deps ## style as a program
	@$(SCRIPT) tests/lint/run.sh

check-asan: ## the tests with address and undefined-behaviour sanitizers
	@$(SCRIPT) VARIANT=asan tests/run.sh --programs

check-tsan: ## the tests with the thread sanitizer
	@$(SCRIPT) VARIANT=tsan tests/run.sh --programs

# bench/bench_*.c: one program per question; bench/*.py: those over HTTP.
BENCHES := $(patsubst %.c,$(BUILD)/%,$(wildcard bench/bench_*.c))
BENCH_SUPPORT := $(patsubst %.c,$(BUILD)/%.o,$(wildcard bench/[!b]*.c))
$(BENCHES): $(BUILD)/%: $(BUILD)/%.o $(BENCH_SUPPORT) $(CLI_LIBRARY) $(LIBRARY)
	@echo "  link    $@"
	@$(CXX) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)
.PHONY: bench-build
bench-build: $(BENCHES)

bench: faiss ## every measurement; one without its data says so (exit 77)
	@$(MAKE) --no-print-directory all bench-build
	@for program in $(BENCHES) $(wildcard bench/[!c]*.py); do \
		echo "== $$program"; code=0; \
		OPENBLAS_NUM_THREADS=1 $(SCRIPT) $$program || code=$$?; \
		[ $$code = 0 ] || [ $$code = 77 ] || exit $$code; \
	done

bench-scifact: faiss ## quality and speed on SciFact, over HTTP, as a table
	@$(MAKE) --no-print-directory all
	@$(SCRIPT) bench/scifact.py

# libFuzzer is clang's, which `make deps` leaves out: nothing else needs it.
fuzz: ## new inputs for the parsers (clang), for FOR=60 seconds
	@command -v clang > /dev/null || \
		{ echo "fuzz: this needs clang: apt-get install clang"; exit 1; }
	@$(MAKE) --no-print-directory $(FUZZ_KERNELS)
	@mkdir -p build/fuzz/found
	clang -g -O1 -fsanitize=fuzzer,address,undefined $(CPPFLAGS) \
		-o build/fuzz/fuzz_json $(FUZZ_SOURCES) $(FUZZ_KERNELS) -ljansson -lm
	build/fuzz/fuzz_json -max_len=4096 -max_total_time=$(or $(FOR),60) \
		-artifact_prefix=build/fuzz/ build/fuzz/found tests/fuzz/corpus
FUZZ_KERNELS := $(patsubst %,build/release/base/%.o,kernels kernels_scalar \
	kernels_avx2 kernels_avx512)
FUZZ_SOURCES := tests/fuzz/fuzz_json.c tests/support/fuzz_entry.c \
	$(filter-out %_report.c %_adapter.c %_safetensors.c,$(wildcard server/json/*.c)) \
	$(patsubst %,index/%.c,filter filter_bind value \
	time_parse) $(patsubst %,base/%.c,arena base64 buf status utf8 vector)

crash: faiss ## kill -9 during writes, ROUNDS=50 times, then verify
	@$(SCRIPT) ROUNDS=$(or $(ROUNDS),50) tests/crash/run.sh


# The shipped files name /usr/local: another PREFIX is written into the copies.
# A configuration that is there already is left alone.
SYSCONFDIR ?= /etc
SHARE := $(DESTDIR)$(PREFIX)/share
install: all ## DESTDIR, PREFIX: programs, models, unit, configuration, documents
	install -d $(DESTDIR)$(PREFIX)/bin $(SHARE)/doc/invar \
		$(SHARE)/invar/models/static-1 $(SHARE)/invar/models/static-2 \
		$(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(SYSCONFDIR)/invar
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin
	for m in static-1 static-2; do \
		install -m 644 demo/models/$$m/* $(SHARE)/invar/models/$$m || exit 1; \
	done
	install -m 644 $(wildcard demo/models/*.txt) $(SHARE)/invar/models
	install -m 644 README.md LICENSE CHANGELOG.md $(wildcard docs/*) \
		$(SHARE)/doc/invar
	sed 's|/usr/local|$(PREFIX)|g; s|/etc/invar|$(SYSCONFDIR)/invar|g' \
		deploy/invard.service \
		> $(DESTDIR)$(PREFIX)/lib/systemd/system/invard.service
	sed 's|/usr/local|$(PREFIX)|g' deploy/invard.conf \
		> $(SHARE)/doc/invar/invard.conf
	test -e $(DESTDIR)$(SYSCONFDIR)/invar/invard.conf || \
		install -m 644 $(SHARE)/doc/invar/invard.conf \
			$(DESTDIR)$(SYSCONFDIR)/invar/invard.conf

clean: ## remove build/
	rm -rf build

help: ## this list
	@awk -F':.*## ' '/^[a-z][a-z0-9-]*:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
