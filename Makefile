# ferryd: `make help` lists the targets.
SHELL := /bin/bash
MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:

# B is where things are built: sanitized builds use folders of their own below build/.
B ?= build
CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
SANITIZE ?=

PKGS := libmicrohttpd jansson libcurl sqlite3 libuv libseccomp libarchive inih libcrypto
WARN := -Wall -Wextra -Wshadow -Wconversion -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes \
        -Wcast-qual -Wvla -Werror
HARDEN := -fstack-protector-strong -fPIE -fcf-protection
LDHARDEN := -pie -Wl,-z,relro,-z,now
# the checks that exclude each other: fortified libc calls, or a sanitizer
CHECKS = $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer,-D_FORTIFY_SOURCE=2)
LDCHECKS = $(if $(SANITIZE),-fsanitize=$(SANITIZE))
CFLAGS ?= -O2 -g
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE $(WARN) $(HARDEN) $(CHECKS) $(CFLAGS) -I. -I$(B)/gen \
             $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LIBS = $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lpthread -lm

DAEMON_SRC := $(sort $(wildcard daemon/*.c api/*.c store/*.c workers/*.c workers/pipeline/*.c \
              workers/sandbox/*.c workers/verdict/*.c))
JAIL_SRC := $(sort $(wildcard workers/sandbox/jail/*.c))
UNIT_SRC := $(sort $(wildcard tests/unit/test_*.c))
TOOL_SRC := $(sort $(wildcard tests/unit/*_main.c))
BENCH_SRC := $(sort $(wildcard tests/bench/*_main.c))
objs = $(patsubst %.c,$(B)/obj/%.o,$(1))
LIB_OBJ := $(call objs,$(filter-out daemon/main.c,$(DAEMON_SRC)))

# name=file pairs embedded into the binary as build/gen/NAME.h
EMBED := schema_sql=schema.sql openapi_yaml=openapi.yaml dashboard_html=api/dashboard/index.html \
         operations_txt=api/operations.txt dashboard_css=api/dashboard/style.css dashboard_js=api/dashboard/app.js
embed_name = $(firstword $(subst =, ,$(1)))
embed_file = $(lastword $(subst =, ,$(1)))
GEN := $(foreach p,$(EMBED),$(B)/gen/$(call embed_name,$(p)).h)

.PHONY: all deps real demo test verdict-gate sanitize lint bench help clean unit
all: $(B)/ferryd $(B)/ferry-jail $(B)/python $(if $(filter-out build,$(B)),$(B)/envs) ## build the daemon

deps: ## install Debian packages and the pinned Python environments
	@tools/deps.sh

real: deps ## install the real packages that tests/bench/coverage.py measures, in an environment of their own
	@tools/real.sh

define embed_rule
$(B)/gen/$(call embed_name,$(1)).h: $(call embed_file,$(1)) tools/embed.sh
	@mkdir -p $$(@D)
	@tools/embed.sh $(call embed_name,$(1)) $$< > $$@
endef
$(foreach p,$(EMBED),$(eval $(call embed_rule,$(p))))

$(B)/obj/%.o: %.c | $(GEN)
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(B)/ferryd: $(call objs,$(DAEMON_SRC))
	@echo "  LINK  $@"
	@$(CC) $(LDHARDEN) $(LDCHECKS) $^ -o $@ $(LIBS)

# never sanitized: it execs into a sandbox that holds no sanitizer runtime
$(B)/ferry-jail $(call objs,$(JAIL_SRC)): override SANITIZE :=
$(B)/ferry-jail: $(call objs,$(JAIL_SRC))
	@echo "  LINK  $@"
	@$(CC) $(LDHARDEN) $^ -o $@ $(shell pkg-config --libs libseccomp)

$(B)/python:
	@ln -sfn "$(CURDIR)/workers/python" $@

$(B)/envs:
	@ln -sfn "$(CURDIR)/build/envs" $@

define test_rule
$(B)/tests/%: $(B)/obj/tests/$(1)/%.o $(LIB_OBJ)
	@mkdir -p $$(@D)
	@echo "  LINK  $$@"
	@$$(CC) $$(LDHARDEN) $$(LDCHECKS) $$^ -o $$@ $$(LIBS) $$(shell pkg-config --libs cmocka)
endef
$(foreach folder,unit bench,$(eval $(call test_rule,$(folder))))

UNIT_BIN := $(patsubst tests/unit/%.c,$(B)/tests/%,$(UNIT_SRC) $(TOOL_SRC))
unit: all $(UNIT_BIN) ## C unit tests only
	@B=$(B) tools/unit.sh $(filter-out %_main,$(UNIT_BIN))

demo: ## install, build, migrate four models over HTTP and show the proof
	@$(MAKE) -s deps
	@$(MAKE) -s all
	@build/envs/tools/bin/python tools/demo.py

test: ## install, build and run all tests
	@$(MAKE) -s deps
	@$(MAKE) -s -j2 all
	@tools/test.sh

verdict-gate: all ## seeded bugs, correct ports and rewrites through verify jobs
	@build/envs/tools/bin/python tests/gate/gate.py --table

sanitize: ## C units and API tests under ASan+UBSan and under TSan
	@$(MAKE) -s -j2 B=build/asan SANITIZE=address,undefined unit
	@$(MAKE) -s -j2 B=build/tsan SANITIZE=thread unit
	@tools/sanitize.sh

lint: ## style, banned functions, complexity, formatting, types
	@tools/lint.sh

bench: all $(patsubst tests/bench/%.c,$(B)/tests/%,$(BENCH_SRC)) ## the measured figures and the whole corpus table
	@tools/bench.sh

clean: ## remove what was built, but for the Python environments
	@rm -rf build/obj build/gen build/tests build/ferryd build/ferry-jail build/python build/asan build/tsan

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
