# make             build/train_gpt2_drpt and the tools in build/dev
# make demo        the main job: generate data, pretrain, post-train, table and picture in demo/
# make test        build and run every test; fails if one does
# make test SAN=1  the same under the address and undefined-behaviour sanitizers
# make bench       time the training step and its parts
# make help        this list
# make clean       remove what was built
#
# CC=clang chooses the compiler.

CC     ?= cc
CFLAGS ?= -O3 -march=native
CFLAGS += -std=c11 -D_GNU_SOURCE -fopenmp -fno-math-errno -ffp-contract=fast -Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes
LDLIBS += -lm
BUILD  := build

ifdef SAN
CFLAGS += -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
BUILD  := build/san
endif

objects := $(patsubst %,$(BUILD)/%.o,$(wildcard llmc/*.c drpt/*.c))
tools   := $(patsubst %.c,$(BUILD)/%,$(wildcard dev/*.c))
tests   := $(patsubst test/%.c,$(BUILD)/test/%,$(wildcard test/test_*.c))

all: $(BUILD)/train_gpt2_drpt $(tools)

$(BUILD)/train_gpt2_drpt $(tools) $(tests): $(BUILD)/%: $(BUILD)/%.c.o $(objects)
	$(CC) $(CFLAGS) $^ $(LDLIBS) -o $@
$(BUILD)/%.c.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c $< -o $@

test: all $(tests)
	@BUILD=$(BUILD) sh test/run.sh $(tests)

help:
	@sed -n '/^# /s/^# //p; /^$$/q' Makefile

clean:
	rm -rf build

.PHONY: all test help clean
.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
