# SPDX-License-Identifier: MIT
#
# One Makefile for everything; it is read once, for all folders. Nothing is
# built outside build/. A folder's sources are found by their names:
#
#   X/main.c          becomes the program X
#   X/Y_main.c        becomes the program Y
#   client/tool*.c    become the program pbkv
#   tests/test_*.c    become one test program each; so do tests/live_*.c,
#                     which start real processes and run one after the other
#   tests/demo.c      becomes what make demo runs; tests/canary.c and
#                     tests/calibrate.c become what tests/under.sh needs
#   tests/bench/X_main.c  become what make bench runs: bench/X
#   tests/chaos/*.c   become chaos and soak, of which X_main.c is the start
#   tests/fuzz/fuzz_*.c  become fuzz targets; the rest there is their help
#   tests/*.c         otherwise: help for all test programs
#   tests/labs/labN.c become one program each, the suite of lab N; the other
#                     files there are help for them
#   tests/labs/solutions/NAME/*.c take the place of the kv server in lab 2B,
#                     with what those have in common in tests/labs/solutions/*.c
#   X/*.c             otherwise: the modules
#
# The modules go into one private archive, from which each program takes what it
# needs. libpbkv is client/ with what that needs, and shows only pbkv_ symbols.
#
# What depends on the system (compiler flags of libraries, protoc) is written to
# build/MODE/config.mk, which is made first and read like a part of this file.
# So `make test` works on a machine that has nothing but make: the packages are
# installed before config.mk is made.

VERSION   := 0.1.0
SOVERSION := 0

MODE ?= debug#          debug, release, asan, tsan, cov or fuzz (clang only)
ifeq ($(origin CC),default)
CC := gcc
endif

PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR     ?= $(PREFIX)/share/man

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

# ---- Modes ----------------------------------------------------------------

MODE := $(strip $(MODE))
FLAGS_debug   := -O1 -g -fno-omit-frame-pointer
FLAGS_release := -O2 -g -D_FORTIFY_SOURCE=2
# With gcc, programs for use are optimised as a whole: objects have what that
# needs, and ordinary code besides, from which everything else is linked.
WHOLE         := $(if $(filter release,$(MODE)),$(if $(filter gcc cc,\
                 $(notdir $(lastword $(CC)))),-flto=auto -ffat-lto-objects))
FLAGS_asan    := -O1 -g -fno-omit-frame-pointer \
                 -fsanitize=address,undefined -fno-sanitize-recover=all
FLAGS_tsan    := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
FLAGS_cov     := -O0 -g --coverage
FLAGS_fuzz    := -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link \
                 -fsanitize=address,undefined -fno-sanitize-recover=all
ifeq ($(FLAGS_$(MODE)),)
$(error MODE is $(MODE); it can be debug, release, asan, tsan, cov or fuzz)
endif

COMPILER := $(notdir $(lastword $(CC)))
B := build/$(if $(filter gcc cc,$(COMPILER)),,$(COMPILER)-)$(MODE)

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes \
            -Wmissing-prototypes -Wvla -Wcast-qual -Wwrite-strings -Werror

# Assertions stay in every mode: nothing here defines NDEBUG.
BASE_CPPFLAGS := -D_POSIX_C_SOURCE=200809L -DPBKV_VERSION='"$(VERSION)"' \
                 -I. -I$(B)/proto
BASE_CFLAGS   := -std=c11 -fPIC -pthread $(FLAGS_$(MODE)) $(WHOLE)

# ---- Sources --------------------------------------------------------------

MODULES := proto clocks node viewservice pbserver client rpc sim

SOURCES      := $(sort $(foreach m,$(MODULES),$(wildcard $(m)/*.c)))
TOOL_SOURCES := $(filter client/tool%.c,$(SOURCES))
MAIN_SOURCES := $(filter-out $(TOOL_SOURCES),$(filter %/main.c %_main.c,\
                $(SOURCES)))
PART_SOURCES := $(filter-out $(TOOL_SOURCES) $(MAIN_SOURCES),$(SOURCES))
TEST_SOURCES := $(sort $(wildcard tests/*.c))
SUITE_SOURCES := $(filter tests/test_%.c tests/race_%.c tests/live_%.c,\
                 $(TEST_SOURCES))
AID_SOURCES   := tests/demo.c tests/canary.c tests/calibrate.c
HELP_SOURCES  := $(filter-out $(SUITE_SOURCES) $(AID_SOURCES),$(TEST_SOURCES))
BENCH_SOURCES := $(sort $(wildcard tests/bench/*.c))
BENCH_MAINS   := $(filter %_main.c,$(BENCH_SOURCES))

CHAOS_SOURCES := $(sort $(wildcard tests/chaos/*.c))
CHAOS_MAINS   := $(filter %_main.c,$(CHAOS_SOURCES))

# The labs, by their files, and other solutions of lab 2B, by their folders.
LAB_FILES := $(sort $(wildcard tests/labs/*.c))
LABS      := $(filter lab0 lab1a lab1b lab2a lab2b lab2c,\
             $(basename $(notdir $(LAB_FILES))))
LAB_HELP_SOURCES := $(filter-out $(LABS:%=tests/labs/%.c) \
                    %_main.c,$(LAB_FILES))
SOLUTION_PARTS   := $(sort $(wildcard tests/labs/solutions/*.c))
SOLUTION_SOURCES := $(sort $(wildcard tests/labs/solutions/*/*.c))
SOLUTIONS        := $(sort $(notdir $(patsubst %/,%,$(dir \
                    $(SOLUTION_SOURCES)))))
FUZZ_SOURCES  := $(sort $(wildcard tests/fuzz/*.c))
FUZZ_TARGETS  := $(filter tests/fuzz/fuzz_%.c,$(FUZZ_SOURCES))
# libFuzzer brings a main of its own; otherwise it is replay.c's.
FUZZ_HELP     := $(filter-out $(FUZZ_TARGETS) \
                 $(if $(filter fuzz,$(MODE)),tests/fuzz/replay.c),\
                 $(FUZZ_SOURCES))

object = $(patsubst %.c,$(B)/obj/%.o,$(1))

PROTO_C      := $(B)/proto/pbkv.pb-c.c
PROTO_H      := $(B)/proto/pbkv.pb-c.h
PROTO_OBJECT := $(B)/obj/proto/pbkv.pb-c.o
PART_OBJECTS := $(PROTO_OBJECT) $(call object,$(PART_SOURCES))
OBJECTS      := $(PART_OBJECTS) \
                $(call object,$(TOOL_SOURCES) $(MAIN_SOURCES) $(TEST_SOURCES) \
                $(BENCH_SOURCES) $(CHAOS_SOURCES) $(FUZZ_SOURCES) \
                $(LAB_FILES) $(SOLUTION_PARTS) $(SOLUTION_SOURCES))
ARCHIVE      := $(B)/obj/modules.a
TOOL_MAIN    := $(call object,client/tool_main.c)
HELP         := $(B)/obj/tests/help.a
BENCH_PARTS  := $(B)/obj/tests/bench.a

# viewservice/main.c is viewservice, clocks/tracecheck_main.c is tracecheck.
program_of = $(if $(filter %/main.c,$(1)),$(patsubst %/main.c,%,$(1)),$\
               $(patsubst %_main.c,%,$(notdir $(1))))
MAIN_PROGRAMS := $(foreach m,$(MAIN_SOURCES),$(B)/$(call program_of,$(m)))
PROGRAMS := $(MAIN_PROGRAMS) $(if $(TOOL_SOURCES),$(B)/pbkv)
SUITES   := $(patsubst tests/%.c,$(B)/tests/%,$(SUITE_SOURCES))
AIDS     := $(AID_SOURCES:tests/%.c=$(B)/tests/%)
DEMO     := $(B)/tests/demo
BENCHES  := $(patsubst tests/bench/%_main.c,$(B)/bench/%,$(BENCH_MAINS))
UNSTAMPED := $(addprefix $(B)/bench/unstamped/,viewservice pbserver pbkv)
CHAOS    := $(patsubst tests/chaos/%_main.c,$(B)/tests/%,$(CHAOS_MAINS))
FUZZERS  := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(FUZZ_TARGETS))
SCRIPTS  := $(sort $(wildcard tests/test_*.sh))

SONAME    := libpbkv.so.$(SOVERSION)
SHARED    := libpbkv.so.$(VERSION)
LIBRARIES := $(if $(wildcard client/pbkv.c),$(addprefix $(B)/,libpbkv.a \
             $(SHARED) $(SONAME) libpbkv.so pbkv.pc))
PUBLIC    := pbkv_[a-z]*#    not pbkv__, which is generated from the .proto
LIBRARY_OBJECTS := $(filter $(B)/obj/client/%,$(PART_OBJECTS))

INSTALLED_PROGRAMS := viewservice pbserver pbkv tracecheck
INSTALLED_MAN1 := $(addsuffix .1,$(INSTALLED_PROGRAMS))

# ---- Configuration --------------------------------------------------------

CONFIG := $(B)/config.mk
GOALS  := $(or $(MAKECMDGOALS),$(.DEFAULT_GOAL))
# These goals work without it; and these install what is missing before it.
PLAIN_GOALS  := help clean deps format uninstall race memcheck asan
HELPED_GOALS := deps test demo bench lint chaos soak under
# These make another make, which has a config.mk of its own.
PLAIN_GOALS  += fuzz fuzz-afl
DEPS ?= build $(if $(filter lint format,$(GOALS)),lint) \
        $(filter bench fuzz fuzz-afl,$(GOALS)) $(if $(NAMESPACES),hosts) \
        $(if $(filter under,$(GOALS)),tools)

ifneq ($(filter-out $(PLAIN_GOALS),$(GOALS)),)
include $(CONFIG)
endif

ifneq ($(filter $(HELPED_GOALS),$(GOALS)),)
$(CONFIG): | deps
endif

$(CONFIG): Makefile .ci/configure
	@mkdir -p $(@D)
	@.ci/configure >$@.new && mv $@.new $@

CPPFLAGS_ALL = $(BASE_CPPFLAGS) $(LIBRARY_CFLAGS) $(CPPFLAGS)
CFLAGS_ALL   = $(BASE_CFLAGS) $(CFLAGS)
LINK_FLAGS   = -pthread $(FLAGS_$(MODE)) -Wl,--as-needed $(LDFLAGS)
LINK         = $(CC) $(if $(WHOLE),-fno-lto) $(LINK_FLAGS)
LINK_WHOLE   = $(CC) $(WHOLE) $(LINK_FLAGS)

# V=1 shows commands in full; otherwise one short line for each.
ifeq ($(V),1)
say = @:
Q :=
else
say = @printf '  %-8s %s\n' $(1) $(2)
Q := @
endif

# ---- Building -------------------------------------------------------------

.PHONY: all programs libraries suites fuzzers
all: programs libraries ## build programs and libraries in build/MODE (default)
	@:
programs: $(PROGRAMS)
	@:
libraries: $(LIBRARIES)
	@:
suites: $(SUITES) $(AIDS) $(BENCHES) $(UNSTAMPED) $(CHAOS) fuzzers
	@:
fuzzers: $(FUZZERS)
	@:

$(B)/proto/%.pb-c.c $(B)/proto/%.pb-c.h: proto/%.proto $(CONFIG)
	$(call say,PROTO,$<)
	@mkdir -p $(B)/proto
	$(Q)$(PROTOC) --c_out=$(B)/proto -Iproto $<

# Generated code is not held to our warnings.
$(PROTO_OBJECT): $(PROTO_C) $(CONFIG)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -w -MMD -MP -c -o $@ $<

# The generated header must be there before the first compilation; after that
# the .d files know who includes it.
$(B)/obj/%.o: %.c $(CONFIG) | $(PROTO_H)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(WARNINGS) -MMD -MP -c -o $@ $<

$(ARCHIVE): $(PART_OBJECTS)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

define program_rule
$(B)/$(call program_of,$(1)): $(call object,$(1)) $(ARCHIVE)
	$$(call say,LINK,$$@)
	$$(Q)$$(LINK_WHOLE) -o $$@ $$^ $$(LIBS)
endef
$(foreach m,$(MAIN_SOURCES),$(eval $(call program_rule,$(m))))

# Tests may use the parts of the tool.
$(B)/pbkv: $(TOOL_MAIN) $(B)/obj/client/tool.a $(ARCHIVE)
	$(call say,LINK,$@)
	$(Q)$(LINK_WHOLE) -o $@ $^ $(LIBS)

$(B)/obj/client/tool.a: $(filter-out $(TOOL_MAIN),\
                        $(call object,$(TOOL_SOURCES)))
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(HELP): $(call object,$(HELP_SOURCES))
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BENCH_PARTS): $(call object,$(filter-out $(BENCH_MAINS) \
                tests/bench/unstamped.c,$(BENCH_SOURCES)))
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BENCHES): $(B)/bench/%: $(B)/obj/tests/bench/%_main.o $(BENCH_PARTS) $(HELP) \
            $(B)/obj/client/tool.a $(ARCHIVE)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(LINK) -o $@ $^ $(LIBS) -lm

# The programs as they would be if no message were stamped: see unstamped.c.
$(B)/bench/unstamped/pbkv: $(TOOL_MAIN) $(B)/obj/client/tool.a
$(filter-out %/pbkv,$(UNSTAMPED)): $(B)/bench/unstamped/%: $(B)/obj/%/main.o
$(UNSTAMPED): $(call object,tests/bench/unstamped.c) $(ARCHIVE)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(LINK_WHOLE) -o $@ $(filter %.o,$^) $(filter %/tool.a,$^) \
	    $(ARCHIVE) $(LIBS)

$(SUITES) $(AIDS): $(B)/tests/%: $(B)/obj/tests/%.o $(HELP) $(BENCH_PARTS) \
                   $(B)/obj/client/tool.a $(ARCHIVE)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(LINK) -o $@ $^ $(TEST_LIBS) $(LIBS) -lm

$(CHAOS): $(B)/tests/%: $(B)/obj/tests/chaos/%_main.o $(call object,\
          $(filter-out $(CHAOS_MAINS),$(CHAOS_SOURCES))) $(HELP) \
          $(B)/obj/client/tool.a $(ARCHIVE)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(LINK) -o $@ $^ $(LIBS)

LAB_PROGRAMS := $(LABS:%=$(B)/labs/%)
LAB_HELP     := $(B)/obj/tests/labs/help.a
MICROSCOPE   := $(if $(wildcard tests/labs/microscope_main.c),\
                $(B)/labs/microscope)
PLANTED      := $(B)/obj/tests/labs/planted.o
PLANTED_PART := $(B)/obj/tests/labs/solutions/member.o
PLANTED_SOURCE := $(or $(wildcard tests/labs/planted/replica.c),\
                  $(B)/planted/replica.c)

$(LAB_HELP): $(call object,$(LAB_HELP_SOURCES))
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# Lab 2C looks at a kv server with a planted bug, made from a sound one; in a
# student's tree it is there already.
$(B)/planted/replica.c: tests/labs/solutions/stopwait/replica.c \
                        tests/labs/planted/late_confirmation.patch
	@mkdir -p $(@D)
	$(Q)patch -s -o $@ $^

$(PLANTED): $(PLANTED_SOURCE) $(CONFIG) \
            $(wildcard tests/labs/solutions/*.h pbserver/*.h node/*.h)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(WARNINGS) -c -o $@ $<

$(MICROSCOPE): $(B)/labs/%: $(B)/obj/tests/labs/%_main.o $(PLANTED) \
               $(PLANTED_PART) $(LAB_HELP) $(ARCHIVE)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(LINK) -o $@ $^ $(LIBS)

$(B)/labs/lab2c: $(PLANTED) $(PLANTED_PART)

# What grades: a sandbox, and the writer of reports.
GRADERS := $(if $(wildcard tests/labs/grade.sh),$(B)/labs/sandbox \
           $(B)/labs/report)
$(GRADERS): $(B)/labs/%: $(B)/obj/tests/labs/%_main.o $(LAB_HELP)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(LINK) -o $@ $^ $(LIBS)

$(LAB_PROGRAMS): $(B)/labs/%: $(B)/obj/tests/labs/%.o $(LAB_HELP) $(HELP) \
                 $(B)/obj/client/tool.a $(ARCHIVE)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(LINK) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(TEST_LIBS) $(LIBS)

SOLUTION_HELP := $(B)/obj/tests/labs/solutions.a
$(SOLUTION_HELP): $(call object,$(SOLUTION_PARTS))
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# Another solution comes before the archive, which then gives nothing that it
# has. Live tests find its pbserver beside the other programs.
define solution_rule
$(B)/labs/$(1)/lab2b: $(B)/obj/tests/labs/lab2b.o $(LAB_HELP) \
    $(call object,$(filter tests/labs/solutions/$(1)/%,$(SOLUTION_SOURCES))) \
    $(SOLUTION_HELP) $(HELP) $(B)/obj/client/tool.a $(ARCHIVE)
	$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(LINK) -o $$@ $$^ $$(TEST_LIBS) $$(LIBS)

$(B)/labs/$(1)/pbserver: $(B)/obj/pbserver/main.o \
    $(call object,$(filter tests/labs/solutions/$(1)/%,$(SOLUTION_SOURCES))) \
    $(SOLUTION_HELP) $(ARCHIVE) | programs
	$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(LINK) -o $$@ $$(filter-out programs,$$^) $$(LIBS)
	@ln -sf ../../viewservice ../../pbkv ../../tracecheck $$(@D)
endef
$(foreach s,$(SOLUTIONS),$(eval $(call solution_rule,$(s))))
SOLUTION_PROGRAMS := $(foreach s,$(SOLUTIONS),$(B)/labs/$(s)/lab2b \
                     $(B)/labs/$(s)/pbserver)

$(FUZZERS): $(B)/fuzz/%: $(B)/obj/tests/fuzz/%.o $(call object,$(FUZZ_HELP)) \
            $(B)/obj/client/tool.a $(ARCHIVE)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(LINK) $(if $(filter fuzz,$(MODE)),-fsanitize=fuzzer) -o $@ $^ $(LIBS)

# Sanitizers leave their own symbols open in a shared library.
DEFS := $(if $(filter asan tsan,$(MODE)),,-Wl,-z,defs)
$(B)/$(SHARED): $(LIBRARY_OBJECTS) $(ARCHIVE) $(CONFIG)
	$(call say,LINK,$@)
	@printf '{ global: %s; local: *; };\n' '$(PUBLIC)' >$(B)/obj/pbkv.map
	$(Q)$(LINK) -shared $(DEFS) -Wl,-soname,$(SONAME) \
	    -Wl,--version-script=$(B)/obj/pbkv.map -o $@ $(LIBRARY_OBJECTS) \
	    $(ARCHIVE) $(LIBS)

$(B)/$(SONAME) $(B)/libpbkv.so: $(B)/$(SHARED)
	@ln -sf $(SHARED) $@

# One object with everything in it, whose other symbols are made local.
$(B)/libpbkv.a: $(LIBRARY_OBJECTS) $(ARCHIVE)
	$(call say,AR,$@)
	$(Q)$(LD) -r -o $(B)/obj/libpbkv.o $^
	$(Q)$(OBJCOPY) --wildcard --keep-global-symbol='$(PUBLIC)' \
	    --remove-section='.gnu.lto_*' --remove-section='.gnu.debuglto_*' \
	    $(B)/obj/libpbkv.o
	$(Q)rm -f $@ && $(AR) rcs $@ $(B)/obj/libpbkv.o

OBJCOPY ?= objcopy

$(B)/pbkv.pc: client/pbkv.pc.in $(CONFIG)
	@sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' \
	    -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' -e 's|@VERSION@|$(VERSION)|' \
	    -e 's|@REQUIRES@|$(LIBRARY_REQUIRES)|' $< >$@

-include $(OBJECTS:.o=.d)

# ---- Using ----------------------------------------------------------------

IN_TREE = PBKV_BUILD='$(CURDIR)/$(B)' PBKV_TREE='$(CURDIR)' \
          PBKV_MODE='$(MODE)' CC='$(CC)' MAKE='$(MAKE)'

ifneq ($(filter test under race memcheck asan,$(GOALS)),)
UNKNOWN_TESTS := $(filter-out $(notdir $(SUITES) $(SCRIPTS:.sh=)),$(TESTS))
ifneq ($(UNKNOWN_TESTS),)
$(error there is no test called $(UNKNOWN_TESTS))
endif
endif

.PHONY: test demo deps
test: deps all suites ## build and run the tests; TESTS="test_clocks" selects
	@$(IN_TREE) tests/run.sh $(or $(TESTS),$(notdir $(SUITES) $(SCRIPTS:.sh=)))

# Tests with threads, and those that do not take a hundred times as long under
# valgrind as without it.
RACE_TESTS     := $(filter race_% test_library test_rpc%,$(notdir $(SUITES)))
MEMCHECK_TESTS := $(RACE_TESTS) $(filter test_clocks test_faults test_message \
                  test_node test_client test_server test_kv test_tsv \
                  test_viewservice,$(notdir $(SUITES)))
# A tool is one of tests/under.sh; clang-tsan is the one of the other compiler.
RACE_TOOLS ?= helgrind drd tsan clang-tsan

.PHONY: race memcheck asan under
race: ## run the threaded tests under helgrind, DRD and ThreadSanitizer
	@failed=0; for tool in $(RACE_TOOLS); do case $$tool in \
	    *tsan) mode=tsan ;; *) mode=debug ;; esac; case $$tool in \
	    clang-*) cc=clang ;; *) cc=gcc ;; esac; echo "==== $$tool"; \
	    $(MAKE) --no-print-directory under MODE=$$mode CC=$$cc \
	        TOOL=$${tool#clang-} TESTS='$(or $(TESTS),$(RACE_TESTS))' || \
	        failed=1; done; exit $$failed

memcheck: ## run tests under memcheck: nothing is left at the end of any
	@$(MAKE) --no-print-directory under MODE=debug TOOL=memcheck \
	    TESTS='$(or $(TESTS),$(MEMCHECK_TESTS))'

asan: ## run all tests with AddressSanitizer, UBSan and LeakSanitizer
	@$(MAKE) --no-print-directory under MODE=asan TOOL=asan \
	    TESTS='$(or $(TESTS),$(notdir $(SUITES) $(SCRIPTS:.sh=)))'

under: deps $(AIDS) $(filter $(TESTS:%=$(B)/tests/%),$(SUITES)) $\
       $(if $(filter live_% $(notdir $(SCRIPTS:.sh=)),$(TESTS)),all suites)
	@$(IN_TREE) tests/under.sh $(TOOL) $(TESTS)

# ---- Labs -----------------------------------------------------------------

# make lab2b TEST=3|name SEED=1 REPEAT=100 JOBS=2 KIND=unit|simulated|searched|
# live|unreliable TRACE=1 DEBUG=1 RACE=helgrind|drd|tsan MEMCHECK=1 LIST=1,
# TAP= JUNIT= GRADESCOPE= CSV= files; SOLUTION= one of tests/labs/solutions.
.PHONY: labs $(LABS)
LAB_ALL := $(LAB_PROGRAMS) $(MICROSCOPE) $(SOLUTION_PROGRAMS)
labs: all $(LAB_ALL) ## build the suites of the labs
	@:
$(LABS): deps programs ## run the suite of a lab: TEST= SEED= REPEAT= JOBS=
	@$(IN_TREE) B='$(B)' TEST='$(TEST)' SEED='$(SEED)' REPEAT='$(REPEAT)' \
	    JOBS='$(JOBS)' KIND='$(KIND)' TRACE='$(TRACE)' DEBUG='$(DEBUG)' \
	    RACE='$(RACE)' MEMCHECK='$(MEMCHECK)' LIST='$(LIST)' TAP='$(TAP)' \
	    JUNIT='$(JUNIT)' GRADESCOPE='$(GRADESCOPE)' CSV='$(CSV)' \
	    SOLUTION='$(SOLUTION)' tests/labs/run.sh $@

# Students' trees, and what comes back (docs/grading.md).
ifneq ($(wildcard handout/handout.sh),)
.PHONY: handout check-handouts
handout: ## make a student tree: LAB=2b OUT=dir WITH_PREVIOUS=1
	@handout/handout.sh '$(LAB)' '$(OUT)' $(if $(WITH_PREVIOUS),previous)

check-handouts: labs ## build and run every lab's handout: LABS_WANTED="0 2b"
	@$(IN_TREE) tests/handouts.sh $(LABS_WANTED)

.PHONY: grade check-grade
grade: labs $(GRADERS) ## grade submissions: SUBMISSION= OUT=dir REPEAT=3 JOBS=2
	@$(IN_TREE) LAB='$(LAB)' REPEAT='$(REPEAT)' JOBS='$(JOBS)' \
	    LIMIT_S='$(LIMIT_S)' tests/labs/grade.sh '$(SUBMISSION)' '$(OUT)'

check-grade: labs $(GRADERS) ## does the grader give what was earned?
	@$(IN_TREE) tests/graded.sh
endif

demo: deps all $(DEMO) ## kill servers during a load; DIR=path, INPUT=file.tsv
	@$(IN_TREE) DIR='$(DIR)' INPUT='$(INPUT)' $(DEMO)

# Measures what release builds, whatever MODE is.
.PHONY: bench
ifeq ($(MODE),release)
bench: deps all $(BENCHES) $(UNSTAMPED) ## measure against Redis: CASES= QUICK=1
	@$(IN_TREE) $(B)/bench/driver $(if $(QUICK),--quick) $(if $(FULL),--full) \
	    --output build/bench $(CASES)
else
bench: deps
	@$(MAKE) --no-print-directory MODE=release bench
endif

.PHONY: chaos soak
chaos: deps all $(CHAOS) ## break a running store: TIME= SEED= NAMESPACES=1
	@$(IN_TREE) $(B)/tests/chaos --seed $(or $(SEED),0) \
	    --seconds $(or $(TIME),60) $(if $(NAMESPACES),--namespaces)

soak: deps all $(CHAOS) ## load a store and see what grows: TIME= (build/soak/)
	@mkdir -p build/soak
	@$(IN_TREE) $(B)/tests/soak --seconds $(or $(TIME),60) \
	    --report build/soak/soak.html

deps: ## find the tools and libraries; install what is missing
	@CC='$(CC)' .ci/deps $(DEPS)

# A library that was put in its place for good has to be made known.
LDCONFIG = if [ -z '$(DESTDIR)' ] && [ "$$(id -u)" = 0 ] && \
           command -v ldconfig >/dev/null; then ldconfig; fi
# Folders that install makes, inner ones first. Those that a system has anyway
# stay there.
OWN_FOLDERS = $(LIBDIR)/pkgconfig $(MANDIR)/man1 $(MANDIR)/man3 \
              $(if $(DESTDIR)$(filter-out /usr /usr/local,$(PREFIX)),\
              $(BINDIR) $(LIBDIR) $(INCLUDEDIR) $(MANDIR) $(PREFIX)/share \
              $(PREFIX))

.PHONY: install uninstall
INSTALL ?= install
install: all ## install under PREFIX (/usr/local); DESTDIR is put before it
	$(INSTALL) -d '$(DESTDIR)$(BINDIR)' '$(DESTDIR)$(LIBDIR)/pkgconfig' \
	    '$(DESTDIR)$(INCLUDEDIR)' '$(DESTDIR)$(MANDIR)/man1' \
	    '$(DESTDIR)$(MANDIR)/man3'
	$(INSTALL) -m 755 $(addprefix $(B)/,$(INSTALLED_PROGRAMS)) \
	    '$(DESTDIR)$(BINDIR)'
	$(INSTALL) -m 644 $(B)/libpbkv.a $(B)/$(SHARED) '$(DESTDIR)$(LIBDIR)'
	ln -sf $(SHARED) '$(DESTDIR)$(LIBDIR)/$(SONAME)'
	ln -sf $(SHARED) '$(DESTDIR)$(LIBDIR)/libpbkv.so'
	$(INSTALL) -m 644 client/pbkv.h '$(DESTDIR)$(INCLUDEDIR)'
	sed -e 's|^prefix=.*|prefix=$(PREFIX)|' \
	    -e 's|^libdir=.*|libdir=$(LIBDIR)|' \
	    -e 's|^includedir=.*|includedir=$(INCLUDEDIR)|' $(B)/pbkv.pc \
	    >'$(DESTDIR)$(LIBDIR)/pkgconfig/pbkv.pc'
	$(INSTALL) -m 644 $(addprefix docs/man/,$(INSTALLED_MAN1)) \
	    '$(DESTDIR)$(MANDIR)/man1'
	$(INSTALL) -m 644 docs/man/pbkv.3 '$(DESTDIR)$(MANDIR)/man3'
	@$(LDCONFIG)

uninstall: ## remove exactly what install put there
	rm -f $(foreach p,$(INSTALLED_PROGRAMS),'$(DESTDIR)$(BINDIR)/$(p)') \
	    $(foreach l,libpbkv.a libpbkv.so $(SONAME) $(SHARED) \
	    pkgconfig/pbkv.pc,'$(DESTDIR)$(LIBDIR)/$(l)') \
	    '$(DESTDIR)$(INCLUDEDIR)/pbkv.h' \
	    $(foreach m,$(INSTALLED_MAN1),'$(DESTDIR)$(MANDIR)/man1/$(m)') \
	    '$(DESTDIR)$(MANDIR)/man3/pbkv.3'
	@for folder in $(foreach f,$(OWN_FOLDERS),'$(DESTDIR)$(f)'); do \
	    [ ! -d "$$folder" ] || [ -h "$$folder" ] || \
	        rmdir --ignore-fail-on-non-empty "$$folder"; done
	@$(LDCONFIG)

# ---- Keeping it clean -----------------------------------------------------

OUR_C := $(sort $(foreach m,$(MODULES) tests tests/bench tests/chaos \
         tests/fuzz tests/labs tests/labs/solutions \
         tests/labs/solutions/*,$(wildcard $(m)/*.[ch])))

.PHONY: lint format purity
lint: deps $(PROTO_H) ## check format, common mistakes, lengths and scripts
	@.ci/lint $(CPPFLAGS_ALL) -std=c11 -- $(OUR_C)

format: deps ## let clang-format rewrite our C files
	@clang-format -i $(OUR_C)

# Sanitizers and coverage put symbols of their own into objects.
ifeq ($(MODE),debug)
purity: $(PART_OBJECTS) ## prove from the objects that roles touch nothing
	@tests/purity.sh . $(B)/obj
	@$(IN_TREE) tests/test_purity.sh
else
purity:
	@$(MAKE) --no-print-directory MODE=debug purity
endif

SEEDS    ?= 1-2000
PLAN     ?= swarm
WORKLOAD ?= swarm
.PHONY: sim explore lincheck
sim: $(B)/sim ## run the store in imagined worlds: SEEDS= PLAN= WORKLOAD= JOBS=
	@$(B)/sim --seeds $(SEEDS) --plan '$(PLAN)' --workload '$(WORKLOAD)' \
	    $(if $(JOBS),--jobs $(JOBS))

SYSTEM  ?= one-client two-clients failover-op backup-dies
SECONDS ?= 60
explore: $(B)/explore ## search all schedules of small systems: SYSTEM= SECONDS=
	@for system in $(SYSTEM); do \
	    $(B)/explore --seconds $(SECONDS) $$system || exit 1; done

HISTORY ?= tests/histories/kv-linearizable.jsonl
lincheck: $(B)/lincheck ## judge a recorded history: HISTORY=file
	@$(B)/lincheck $(HISTORY)

.PHONY: fuzz fuzz-afl
TIME ?= 60
FUZZ ?= $(patsubst tests/fuzz/fuzz_%.c,%,$(FUZZ_TARGETS))
fuzz: deps ## invent inputs for TIME=60 seconds in all; FUZZ="server" selects
	@$(MAKE) --no-print-directory MODE=fuzz CC=clang fuzzers
	@tests/fuzz/run.sh build/clang-fuzz/fuzz $(TIME) $(FUZZ)

fuzz-afl: deps ## the same under AFL++
	@$(MAKE) --no-print-directory MODE=debug CC=afl-clang-fast fuzzers
	@tests/fuzz/run_afl.sh build/afl-clang-fast-debug/fuzz $(TIME) $(FUZZ)

.PHONY: mutants
MUTANTS_NEED := $(B)/sim $(B)/explore $(B)/tests/test_scenarios $(LAB_ALL)
mutants: $(MUTANTS_NEED) ## break the roles: is it noticed?
	@$(IN_TREE) tests/mutants.sh
	@$(IN_TREE) tests/labs/mutants.sh

.PHONY: lab-mutants
lab-mutants: labs ## make students' mistakes: do the labs' suites judge them?
	@$(IN_TREE) tests/labs/mutants.sh

.PHONY: check-build clean help
check-build: all suites ## check that a second make does nothing, and the like
	@$(IN_TREE) tests/test_build.sh

clean: ## remove build/
	rm -rf build

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | \
	    while IFS='|' read -r goal text; do \
	        printf '  %-12s %s\n' "$$goal" "$$text"; done
	@echo 'MODE=debug|release|asan|tsan|cov|fuzz  CC=gcc|clang  V=1  -j2'
