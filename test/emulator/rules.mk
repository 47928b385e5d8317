# rules.mk -- the .cu files for a machine without a GPU: through launch.sed into $(EMU)/src, from there by a C++ compiler, linked with
# the emulator. EMU_CXX chooses the compiler. What stands in $(EMU)/races has every memory access of a kernel checked for races; in $(EMU)/bf16
# Real is bfloat16, and $(EMU)/bf16_races checks what only bf16 has.
EMU_CXX   ?= g++
EMU       := $(BUILD)/emu
EMU_FLAGS := -std=c++17 -O2 -gdwarf-4 -Wall -Wextra -Wshadow -Wno-unknown-pragmas -Itest/emulator/include
# Kernels follow CUDA's rules, not ISO C++'s: a float array may be read as float4. What the source does not ask for must not be
# computed ahead, as it could meet a NaN.
EMU_CU    := $(EMU_FLAGS) -fno-strict-aliasing -fstack-clash-protection -fsanitize=bounds,alignment -fsanitize-undefined-trap-on-error
EMU_CU    += $(if $(findstring clang,$(EMU_CXX)),-ffp-exception-behavior=maytrap)

emu_objects := $(patsubst test/emulator/%.cpp,$(EMU)/%.o,$(wildcard test/emulator/*.cpp))
cuda_tests  := $(patsubst test/%.cu,%,$(wildcard test/test_cuda*.cu))
emu_sources := $(patsubst %.cu,$(EMU)/src/%.cu,$(cuda_modules) train_gpt2_drpt.cu $(cuda_tests:%=test/%.cu) test/emulator/faults.cu dev/bench_gpu.cu)
# EMULATED=all: everything that is checked without a GPU; else what takes a minute.
emu_compiler := $(if $(SAN)$(USE_BLAS),,$(shell command -v $(EMU_CXX)))
emu_programs := $(EMU)/plain/faults $(EMU)/plain/train_gpt2_drpt_cuda $(cuda_tests:%=$(EMU)/plain/%)
ifeq ($(EMULATED),all)
emu_programs += $(EMU)/races/faults $(EMU)/plain/train_gpt2_drpt_cuda_bf16 $(EMU)/bf16_races/test_cuda $(EMU)/plain/bench_gpu $(EMU)/bf16/bench_gpu
emu_programs += $(foreach kind,races bf16,$(cuda_tests:%=$(EMU)/$(kind)/%))
endif
emu_programs := $(if $(emu_compiler),$(emu_programs))

# Put in place whole: with make -j the same file may be made twice at a time, as it has a second name where another includes it.
$(EMU)/src/%.cu: %.cu test/emulator/launch.sed
	@mkdir -p $(@D)
	@(echo '#line 1 "$<"'; sed -E -f test/emulator/launch.sed $<) > $@.$$$$ && mv $@.$$$$ $@
$(EMU)/%.o: test/emulator/%.cpp
	@mkdir -p $(@D)
	$(EMU_CXX) $(EMU_FLAGS) -fopenmp-simd -MMD -MP -c $< -o $@
# A .cu file that includes another finds the rewritten one: it stands beside its own.
define compile_cu
@mkdir -p $(@D)
$(EMU_CXX) $(EMU_CU) $(1) -iquote $(dir $*) -iquote . -MMD -MP -x c++ -c $< -o $@
endef
$(EMU)/plain/%.o: $(EMU)/src/%.cu | $(emu_sources)
	$(call compile_cu)
$(EMU)/races/%.o: $(EMU)/src/%.cu | $(emu_sources)
	$(call compile_cu,-fsanitize=thread)
$(EMU)/bf16/%.o: $(EMU)/src/%.cu | $(emu_sources)
	$(call compile_cu,-DBF16)
$(EMU)/bf16_races/%.o: $(EMU)/src/%.cu | $(emu_sources)
	$(call compile_cu,-DBF16 -fsanitize=thread)

$(EMU)/plain/faults $(EMU)/races/faults: %/faults: %/test/emulator/faults.o $(emu_objects)
	$(EMU_CXX) $^ -o $@
define link_cuda
$(cuda_tests:%=$(EMU)/$(1)/%): $(EMU)/$(1)/%: $(EMU)/$(1)/test/%.o $(EMU)/cpu_twin.o
$(EMU)/$(1)/train_gpt2_drpt_cuda: $(EMU)/$(1)/train_gpt2_drpt.o
$(EMU)/$(1)/bench_gpu: $(EMU)/$(1)/dev/bench_gpu.o $(bench_gpu)
$(EMU)/$(1)/train_gpt2_drpt_cuda $(EMU)/$(1)/bench_gpu $(cuda_tests:%=$(EMU)/$(1)/%): $(cuda_modules:%.cu=$(EMU)/$(1)/%.o) $(emu_objects) $(BUILD)/cuda_host.a
	$(EMU_CXX) $$(filter %.o,$$^) $$(filter %.a,$$^) -fopenmp $(LDLIBS) -o $$@
endef
$(foreach kind,plain races bf16,$(eval $(call link_cuda,$(kind))))
$(EMU)/bf16_races/test_cuda: $(EMU)/bf16/test/test_cuda.o $(patsubst %.cu,$(EMU)/bf16/%.o,$(filter-out llmc/attention_mma.cu,$(cuda_modules))) \
                             $(EMU)/bf16_races/llmc/attention_mma.o $(EMU)/cpu_twin.o $(emu_objects) $(BUILD)/cuda_host.a
	$(EMU_CXX) $(filter %.o,$^) $(filter %.a,$^) -fopenmp $(LDLIBS) -o $@
# It has to stand beside the program that starts it.
$(EMU)/plain/train_gpt2_drpt_cuda_bf16: $(EMU)/bf16/train_gpt2_drpt_cuda
	cp $< $@

# The CPU trainer, and all that it is made of, as one object of which only `cpu_twin` can be seen: its names are the GPU trainer's.
$(EMU)/cpu_twin.o: $(BUILD)/test/cpu_twin.c.o $(BUILD)/drpt.a
	@mkdir -p $(@D)
	$(CC) -r -nostdlib $(filter %.o,$^) $(filter %.a,$^) -o $@
	objcopy --keep-global-symbol=cpu_twin $@
