# Thin front of CMake: `make help` lists what it does.
SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
PROFILE ?=
SETUP ?= 1
BUILD ?= build
JOBS ?= $(shell nproc)
MODELS ?= mingru,minlstm,gru,lstm
export SETUP BUILD JOBS CMAKE_ARGS
export MINRNN := $(abspath $(BUILD))/minrnn

.PHONY: build program configure help deps reproduce figures report test check bench peers peers-check bundle clean

build: configure ## compile the program and the tests (what plain `make` does)
	@cmake --build $(BUILD) -j $(JOBS)

# What needs no tests does not wait for them.
program: configure
	@cmake --build $(BUILD) -j $(JOBS) --target minrnn

# Without the module on MuJoCo CMake looks for it once more: it may have been installed since.
configure: deps
	@[ -z "$(CMAKE_ARGS)$(MUJOCO_DIR)" -a -f $(BUILD)/Makefile -a -e $(BUILD)/libminrnn_mujoco.so ] || cmake -S . -B $(BUILD) $(CMAKE_ARGS)

help: ## show this list
	@echo "make TARGET [VARIABLE=value ...]"
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1	\2/p' Makefile | expand -t 14
	@echo "Variables:"
	@echo "  PROFILE=smoke|cpu|paper   experiments of reproduce (default: cpu without a GPU)"
	@echo "  SETUP=0                   install nothing: name the missing package and stop"
	@echo "  MODELS=A,B                models of bench (default: $(MODELS))"
	@echo "  BUILD=build               build folder"
	@echo "  CMAKE_ARGS='-D...'        options of CMake, e.g. -DMR_MARCH=x86-64-v3"
	@echo "  MUJOCO_DIR=FOLDER         MuJoCo's release or wheel (default: the system's libmujoco-dev)"
	@echo "  JOBS=N                    parallel jobs (default: all cores)"

reproduce: program ## run the experiments of PROFILE, skip finished ones, draw the figures, write the report
	@scripts/reproduce.sh $(PROFILE)

figures: program ## draw the figures from the runs that exist
	@scripts/figures.sh $(PROFILE)

report: figures ## write results/report/index.html about the runs that exist
	@scripts/report.sh $(PROFILE)

test: build ## run every test; the closing line of CTest comes last
	@cd $(BUILD) && rm -f ctest.xml; ctest --output-on-failure --no-label-summary --no-tests=error \
	  -j $(JOBS) --output-log ctest.log --output-junit ctest.xml; code=$$?; \
	  grep 'tests passed' ctest.log | tail -n 1; exit $$code

check: deps ## formatting, headers, warnings of two compilers, linters, sanitizers
	@scripts/check.sh

bench: program ## time MODELS at the standard size, with their matrix products alone
	@$(BUILD)/minrnn bench --model=$(MODELS) \
	  --batch=64 --length=512 --width=128 --layers=1

peers-check: program ## compare every model with PyTorch (python3-torch, python3-h5py)
ifeq ($(SETUP),0)
	@scripts/setup.sh --peers --check
else
	@scripts/setup.sh --peers --check >/dev/null 2>&1 || scripts/setup.sh --peers
endif
	@scripts/peers/check_all.py

PEERS ?=
peers: program ## time the mixers beside PyTorch's, PEERS='--batch=.. --length=..' (python3-torch); into the report
ifeq ($(SETUP),0)
	@scripts/setup.sh --peers --check
else
	@scripts/setup.sh --peers --check >/dev/null 2>&1 || scripts/setup.sh --peers
endif
	@scripts/peers/time_all.py \
	  --out=$${RESULTS:-results}/runs/peers/$(shell uname -m)-$(if $(filter %cuda,$(PEERS)),cuda,cpu).tsv $(PEERS)
	@[ ! -e $${RESULTS:-results}/figures/data/profile.txt ] || scripts/report.sh $(PROFILE)

bundle: deps ## pack program, GPU tests, libraries, experiments and plots into dist/
	@scripts/bundle.sh $(BUILD)/bundle

clean: ## remove what was built; results stay
	rm -rf $(BUILD) build-check dist

# Installs what is missing, or with SETUP=0 names it.
deps:
ifeq ($(SETUP),0)
	@scripts/setup.sh --check
else
	@scripts/setup.sh --check >/dev/null 2>&1 || scripts/setup.sh
endif
