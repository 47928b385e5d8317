# make             build/train_gpt2_drpt and the tools in build/dev
# make demo        the main job: generate data, pretrain, post-train, table and picture in demo/
# make demo FULL=1 five seeds and every learning rate, chosen on a validation set
# make demo-rlhf   the same with preference pairs (DPO), and PPO against a reward learnt from pairs, five seeds; into demo-rlhf/
# make demo-rlvr   the same with a rule that says which responses are right (GRPO), five seeds; into demo-rlvr/
# make sweep       run the plan dev/plans/quick.plan into sweep/quick/ (PLAN=paper, knobs, ...; ARGS=--help): missing runs only
# make picture     draw demo/curves.png again (matplotlib, in a virtual environment of its own); DEMO=demo-rlhf, demo-rlhf/ppo, demo-rlvr: of that one
# make report      what the sweep of PLAN=quick found: sweep/quick/report.html and report.md
# make test        build and run every test; fails if one does
# make test SAN=1  the same under the address and undefined-behaviour sanitizers
# make test EMULATED=all  the same, with all that the emulator of a GPU can check: race check, bf16, another schedule
# make test-emulated  what of these tests concerns the GPU trainer alone
# make cuda        build/train_gpt2_drpt_cuda, ..._cuda_bf16 and the GPU trainer's tests, by nvcc (ARCH=sm_90: for one architecture); needs a GPU to run
# make mutants     break the code line by line: a test must notice each
# make test-slow   do the demos still show what they are meant to show?
# make tutorial    build the program of dev/doc/tutorial.md
# make bench       time the training step and its parts (OPS=1: single matrix products; ARGS=--help)
# make help        this list
# make clean       remove what was built
#
# CC=clang chooses the compiler; USE_BLAS=1 links OpenBLAS instead of llmc/matmul.c.

CC     ?= cc
CFLAGS ?= -O3 -march=native
FLAGS  := -std=c11 -D_GNU_SOURCE -fopenmp -fno-math-errno -ffp-contract=fast -Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes -Wno-pass-failed
LDLIBS := -lm
BUILD  := build

ifdef SAN
FLAGS  += -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -DVERIFY_SITES=1
BUILD  := build/san
endif

sources := $(wildcard llmc/*.c drpt/*.c)
ifdef USE_BLAS
sources := $(patsubst llmc/matmul.c,llmc/blas/matmul.c,$(sources))
LDLIBS  += -lopenblas
BUILD   := $(BUILD)/blas
endif
objects := $(sources:%=$(BUILD)/%.o)
tools   := $(patsubst %.c,$(BUILD)/%,$(wildcard dev/*.c))
tests   := $(patsubst test/%.c,$(BUILD)/test/%,$(wildcard test/test_*.c))

all: $(BUILD)/train_gpt2_drpt $(tools)

tutorial: $(BUILD)/dev/doc/tutorial

# All that is not a program, in a library: a program is linked with what it calls.
$(BUILD)/drpt.a: $(objects)
	@rm -f $@
	ar qcs $@ $^
$(BUILD)/train_gpt2_drpt $(tools) $(BUILD)/dev/doc/tutorial $(filter-out %/test_gradient,$(tests)): $(BUILD)/%: $(BUILD)/%.c.o $(BUILD)/drpt.a
	$(CC) $(CFLAGS) $(FLAGS) $(filter %.o,$^) $(filter %.a,$^) $(LDLIBS) -o $@
$(BUILD)/%.c.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(FLAGS) -MMD -MP -c $< -o $@

# This test counts what the products do.
wrapped := matmul_forward matmul_backward_input matmul_backward_params
$(BUILD)/test/test_counts: LDLIBS += $(wrapped:%=-Wl,--wrap=%)

# This test and all it is linked with is compiled in double precision; it has a matmul of its own.
$(BUILD)/test/test_gradient: $(BUILD)/double/test/test_gradient.c.o $(BUILD)/double/drpt.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(FLAGS) $^ $(LDLIBS) -o $@
$(BUILD)/double/drpt.a: $(patsubst $(BUILD)/%,$(BUILD)/double/%,$(filter-out %/matmul.c.o,$(objects)))
	@rm -f $@
	ar qcs $@ $^
$(BUILD)/double/%.c.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(FLAGS) -include test/double.h -MMD -MP -c $< -o $@

test: all tutorial $(tests)
	@BUILD=$(BUILD) EMULATED=$(EMULATED) sh test/run.sh $(tests)

test-emulated: all
	@BUILD=$(BUILD) EMULATED=$(EMULATED) sh test/test_cuda.sh
	@BUILD=$(BUILD) EMULATED=$(EMULATED) sh test/test_twins.sh

# The .cu files. What has one is not linked beside it as .c; test/emulator/ runs them where there is no GPU.
cuda_modules := $(wildcard llmc/*.cu drpt/*.cu)
$(BUILD)/cuda_host.a: $(filter-out %/matmul.c.o $(cuda_modules:%.cu=$(BUILD)/%.c.o),$(objects))
	@rm -f $@
	ar qcs $@ $^
bench_gpu := $(patsubst %,$(BUILD)/%.o,dev/timing/job.c dev/timing/worker.c)
include test/emulator/rules.mk
test test-emulated: $(emu_programs)

NVCC      ?= nvcc
ARCH      ?= $(shell nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | sed -n '1s/\(.*\)\.\(.*\)/sm_\1\2/p')
NVCCFLAGS := -std=c++17 -O3 $(if $(ARCH),-arch=$(ARCH),-gencode arch=compute_80,code=sm_80 -gencode arch=compute_90,code=sm_90 -gencode arch=compute_90,code=compute_90)
NVCCFLAGS += -Werror all-warnings -Xcompiler -Wall,-Wextra,-Werror

# The trainer, its tests and its benchmark, compiled twice: with bfloat16 for Real too. The two trainers stand side by side, as one starts the other.
define cuda_programs
cuda: $(BUILD)/train_gpt2_drpt_$(1) $(cuda_tests:%=$(BUILD)/$(1)/%) $(BUILD)/$(1)/bench_gpu
$(BUILD)/train_gpt2_drpt_$(1): $(BUILD)/$(1)/train_gpt2_drpt.o
$(BUILD)/$(1)/bench_gpu: $(BUILD)/$(1)/dev/bench_gpu.o $(bench_gpu)
$(cuda_tests:%=$(BUILD)/$(1)/%): $(BUILD)/$(1)/%: $(BUILD)/$(1)/test/%.o $(EMU)/cpu_twin.o
$(BUILD)/train_gpt2_drpt_$(1) $(BUILD)/$(1)/bench_gpu $(cuda_tests:%=$(BUILD)/$(1)/%): $(cuda_modules:%.cu=$(BUILD)/$(1)/%.o) $(BUILD)/cuda_host.a
	$(NVCC) $(NVCCFLAGS) $$(filter %.o,$$^) $$(filter %.a,$$^) -Xcompiler -fopenmp -lcublasLt $(LDLIBS) -o $$@
$(BUILD)/$(1)/%.o: %.cu Makefile
	@mkdir -p $$(@D)
	$(NVCC) $(NVCCFLAGS) $(2) -MMD -MP -c $$< -o $$@
endef
$(eval $(call cuda_programs,cuda))
$(eval $(call cuda_programs,cuda_bf16,-DBF16))

mutants:
	sh dev/mutants.sh
	sh test/emulator/mutants.sh

test-slow: all
	@BUILD=$(BUILD) sh test/slow_demo.sh

# What a newcomer types first is built on all cores, unless make was told otherwise.
build_all = $(MAKE) -s $(if $(findstring j,$(filter-out --%,$(firstword -$(MAKEFLAGS)))),,-j$(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)) all

# A demo ends with its tables where the pictures cannot be drawn.
pictures = for demo in $(1); do $(MAKE) -s picture DEMO=$$demo 2>/dev/null || \
	echo "no picture, which takes python3, its venv module and matplotlib: 'make picture DEMO=$$demo' says what is missing"; done

demo:
	@$(build_all)
	@BUILD=$(BUILD) sh dev/demo.sh $(if $(FULL),--full)
	@$(call pictures,demo)

demo-rlhf:
	@$(build_all)
	@BUILD=$(BUILD) sh dev/demo_rlhf.sh
	@BUILD=$(BUILD) sh dev/demo_ppo.sh
	@$(call pictures,demo-rlhf demo-rlhf/ppo)

demo-rlvr:
	@$(build_all)
	@BUILD=$(BUILD) sh dev/demo_rlvr.sh
	@$(call pictures,demo-rlvr)

PLAN ?= quick
sweep:
	@$(build_all)
	@BUILD=$(BUILD) sh dev/sweep.sh $(PLAN) $(ARGS)

DEMO ?= demo
picture: venv
	@build/venv/bin/python dev/report/demo_picture.py $(DEMO)
venv: build/venv/ready
build/venv/ready:
	@echo "installing matplotlib into build/venv"
	@python3 -m venv build/venv
	@build/venv/bin/pip install --quiet --disable-pip-version-check --retries 1 --timeout 20 matplotlib
	@touch $@

# Without matplotlib the report has its tables and no figures.
PLAN ?= quick
report:
	@if $(MAKE) -s venv >/dev/null 2>&1; then build/venv/bin/python dev/report/report.py sweep/$(PLAN); else python3 dev/report/report.py sweep/$(PLAN); fi

bench: $(BUILD)/dev/bench
	$< $(if $(OPS),--ops) --flags "$(CC) $(CFLAGS) $(FLAGS)" $(ARGS)
$(BUILD)/dev/bench: LDLIBS += -ldl
$(BUILD)/dev/bench: $(patsubst %,$(BUILD)/%.o,$(wildcard dev/timing/*.c))
$(BUILD)/dev/sums $(BUILD)/dev/letters $(BUILD)/test/test_sums $(BUILD)/test/test_letters: $(BUILD)/dev/text/rows.c.o
$(BUILD)/dev/ngram $(BUILD)/test/test_probe: $(patsubst %,$(BUILD)/%.o,$(wildcard dev/world/*.c))

help:
	@sed -n '/^# /s/^# //p; /^$$/q' Makefile

clean:
	rm -rf build

.SUFFIXES:
.PHONY: all tutorial test test-emulated cuda mutants test-slow demo demo-rlhf demo-rlvr sweep picture report venv bench help clean
.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
