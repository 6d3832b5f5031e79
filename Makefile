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
CXXFLAGS_ALL := -std=c++17 $(OPT) $(HARDEN) $(WARN) -isystem $(FAISS_PREFIX)/include \
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
.PHONY: all help deps faiss clean install

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
.PHONY: tests-build
.SECONDARY:

deps: ## install the Debian packages (root or sudo)
	@deploy/install-deps.sh

faiss: ## build FAISS with its C API once, outside the checkout
	@deploy/install-faiss.sh

clean: ## remove build/
	rm -rf build

help: ## this list
	@awk -F':.*## ' '/^[a-z][a-z0-9-]*:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
