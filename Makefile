# Everything runs in .venv, which is made on first use. `make` alone lists the targets.
PYTHON  ?= python3
VENV    ?= .venv
WORKERS ?= 2
BENCH   ?= $(filter-out benchmarks/_%,$(wildcard benchmarks/*.py))
PIPFLAGS ?= -q
# Extra arguments for the installation of torch alone, e.g. an index that holds CPU-only builds.
TORCH_ARGS ?=
ARGS    ?=

BIN     := $(VENV)/bin
PIP     := $(BIN)/python -m pip --disable-pip-version-check install $(PIPFLAGS)
TORCH   := $(shell sed -n 's/^\(torch==[^ ;]*\).*/\1/p' constraints.txt)
STAMP   := $(VENV)/.installed
INPUTS  := setup.cfg pyproject.toml constraints.txt

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo test lint bench docs weights-digits weights-mnist weights-fashion-mnist weights-one-learner \
  weights-digits-base_fc weights-mnist-base_fc weights-fashion-mnist-base_fc weights-search weights-mnist-search weights-fashion-mnist-search weights-cartpole \
  weights-classic weights-acrobot weights-mountaincar weights-pendulum weights-lunarlander weights-mujoco clean distclean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-27s %s\n", $$1, $$2}'
	@echo "Variables: PYTHON=python3.12 VENV=.venv WORKERS=2 ARGS='...' BENCH=benchmarks/<file>.py TORCH_ARGS='...'"

install: $(STAMP) ## make .venv with everything that development needs

demo: $(STAMP) ## meta-train a teacher for the digits in a few minutes, then evaluate it
	rm -rf runs/demo
	$(BIN)/gtn-cli meta-train --task digits --preset fast --out runs/demo
	$(BIN)/gtn-cli evaluate runs/demo
	@echo "Curves: $(BIN)/tensorboard --logdir runs/demo"
	@echo "Report: runs/demo/report/"

test: $(STAMP) ## run every test, fast and slow (ARGS='-k adjoint' selects)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) -m "" $(ARGS)

lint: $(STAMP) ## ruff check, ruff format --check, mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.installed-bench ## run the scripts in benchmarks/ (BENCH= picks one, ARGS= goes to it)
	@test -n "$(strip $(BENCH))" || echo "benchmarks/ holds no script yet"
	@set -e; for script in $(BENCH); do echo "== $$script"; $(BIN)/python $$script $(ARGS); done

docs: $(VENV)/.installed-docs ## build the documentation into build/site
	$(BIN)/mkdocs build --strict --quiet
	@echo "Documentation: build/site/index.html"

# Each line makes one shipped environment, GTN-<name>-v0, from task, kind, budget and more options; the file's header repeats the
# command. An MDP goes on from its bandit's initial states and reward, except Pendulum's, a model of the task. The shipped files of
# Acrobot, LunarLander and MountainCar's bandit were made in more steps than these, which make successors of them: "How the shipped
# files were made" in docs/results.md. Without --minutes the budget is the preset's.
weight = OMP_NUM_THREADS=1 $(BIN)/gtn-cli meta-train --task $(2) --kind $(3) --seed $(SEED) $(4) $(5) \
  --out runs/weights/GTN-$(1)-v0 && cp runs/weights/GTN-$(1)-v0/teacher.safetensors $(WEIGHTS)/GTN-$(1)-v0.safetensors
both   = rm -rf runs/weights/GTN-$(1)-v0 runs/weights/GTN-$(1)Bandit-v0; $(call weight,$(1)Bandit,$(2),bandit,$(3)) && \
  $(call weight,$(1),$(2),mdp,$(4),--from $(WEIGHTS)/GTN-$(1)Bandit-v0.safetensors)
SEED    ?= 0
WEIGHTS ?= envs/gtn_envs/weights

weights-cartpole: $(STAMP) ## make the shipped CartPole environments again, in 9 minutes on two cores
	rm -rf runs/weights/GTN-CartPole-v0 runs/weights/GTN-CartPoleBandit-v0
	$(call weight,CartPole,CartPole-v1,mdp) & mdp=$$!; $(call weight,CartPoleBandit,CartPole-v1,bandit) && wait $$mdp

weights-classic: weights-acrobot weights-mountaincar weights-pendulum ## make Pendulum's shipped environments again, and successors of Acrobot's and MountainCar's

weights-acrobot: $(STAMP)
	$(call both,Acrobot,Acrobot-v1,--minutes 4,--minutes 3)

weights-mountaincar: $(STAMP)
	$(call both,MountainCar,MountainCar-v0)

weights-pendulum: $(STAMP)
	rm -rf runs/weights/GTN-Pendulum-v0 runs/weights/GTN-PendulumBandit-v0
	$(call weight,PendulumBandit,Pendulum-v1,bandit) && $(call weight,Pendulum,Pendulum-v1,mdp)

weights-lunarlander: $(STAMP) ## make successors of the shipped LunarLander environments
	$(call both,LunarLander,LunarLander-v3,--minutes 9,--minutes 4)

weights-mujoco: $(VENV)/.installed-mujoco ## make the shipped MuJoCo environments again
	$(call both,HalfCheetah,HalfCheetah-v5)
	$(call both,Hopper,Hopper-v5)

# Each makes one shipped teacher of images, from name, task, preset, budget and how it is checked, and stores it in float16 if it teaches
# as well so. PRESET=, SEED= and ARGS= go to the meta-training; the file's header repeats the command.
teacher = rm -rf runs/weights/$(1) && OMP_NUM_THREADS=1 $(BIN)/gtn-cli meta-train --task $(2) --preset $(3) --seed $(SEED) \
  --threads 1 $(4) $(ARGS) --out runs/weights/$(1) && $(BIN)/gtn-cli compact runs/weights/$(1) $(5) --out $(TEACHERS)/$(1).safetensors
PRESET   ?= fast
TEACHERS ?= gtn_sl/weights
STREAMS  ?= envs/gtn_envs/weights

# Those for a pool of learners go on from a first run, made from name, task and budget, with other draws (the later --seed holds), a
# lower learning rate, and no losses between the inner steps.
first   = rm -rf runs/weights/$(1)-first && OMP_NUM_THREADS=1 $(BIN)/gtn-cli meta-train --task $(2) --preset $(PRESET) --seed $(SEED) \
  --threads 1 $(3) $(ARGS) --out runs/weights/$(1)-first
further = --from runs/weights/$(1)-first --seed $$(($(SEED) + 1)) --set outer.lr=$(3) --set meta_loss.every=0 --iterations $(2)

# They then take each inner step twice, which makes as many as are given, and learn mostly at which rates; their data streams, for which
# that is no gain, are made before (those shipped, from a file in float16).
twice = --set inner.steps=$(1) --set teacher.schedule_lr=50 --set outer.validations=3

weights-digits: $(STAMP) ## make the shipped teacher of the digits and its data stream again, in 40 minutes
	$(call first,digits,digits,--set inner.steps=64 --iterations 420) && \
	  $(BIN)/gtn-cli export-dataset runs/weights/digits-first --out $(STREAMS)/GTN-Digits-v0.safetensors && \
	  $(call teacher,digits,digits,$(PRESET),$(call further,digits,60,0.0001) $(call twice,128),--count 20 --tolerance 0.3)

# MNIST's and Fashion-MNIST's have a second run before that; from task, its outer steps, and data stream.
pooled  = $(call first,$(1),$(1),--iterations 900) && $(call first,$(1)-32,$(1),$(call further,$(1),$(2),0.0007)) && \
  $(BIN)/gtn-cli export-dataset runs/weights/$(1)-32-first --out $(STREAMS)/$(3).safetensors && \
  $(call teacher,$(1),$(1),$(PRESET),$(call further,$(1)-32,120,0.0001) --seed $$(($(SEED) + 2)) $(call twice,64),--count 5 --tolerance 0.3)

weights-mnist: $(STAMP) ## make those of MNIST again, in two and a half hours (needs its images, see --data-dir)
	$(call pooled,mnist,1200,GTN-MNIST-v0)

weights-fashion-mnist: $(STAMP) ## make those of Fashion-MNIST again, in as long
	$(call pooled,fashion-mnist,700,GTN-FashionMNIST-v0)

# For one learner: no pool, and widths up to its own.
one_learner = --set inner.fan_in=0 --set 'learner.pool=[]' --set 'learner.norms=[]' --set 'learner.activations=[]' \
  --set 'learner.random_widths=[[16,33],[32,65],[64,129]]' --set 'learner.width_scale=[1,1]' --set 'validation.architectures=[]'
batch       = --set inner.batch_size=128 --set validation.learners=5
longer      = --iterations 1000 $(batch) --set outer.lr=0.002
# The learner at its own widths, in place of half of them.
whole       = --set learner.architecture=base_fc --set 'learner.random_widths=[[32,65],[64,129],[128,257]]'

weights-one-learner: weights-digits-base_fc weights-mnist-base_fc weights-fashion-mnist-base_fc ## make the shipped teachers for one learner again

weights-digits-base_fc: $(STAMP)
	$(call teacher,digits-base_fc,digits,fast,$(one_learner) --iterations 400 --set validation.learners=10,--count 10 --tolerance 0.3)

weights-mnist-base_fc: $(STAMP)
	$(call first,mnist-base_fc,mnist,$(one_learner) $(longer)) && \
	  $(call teacher,mnist-base_fc,mnist,fast,$(one_learner) $(batch) $(whole) $(call further,mnist-base_fc,500,0.001),--count 5 --tolerance 0.3)

weights-fashion-mnist-base_fc: $(STAMP)
	$(call teacher,fashion-mnist-base_fc,fashion-mnist,fast,$(one_learner) $(longer),--count 5 --tolerance 0.3)

weights-search: weights-mnist-search weights-fashion-mnist-search ## make the shipped teachers that rank architectures again

weights-mnist-search weights-fashion-mnist-search: $(STAMP)
	$(call teacher,$(@:weights-%=%),$(@:weights-%-search=%),search,--minutes 48,--count 3 --tolerance 0.3)

clean: ## remove build products and caches; keeps .venv and runs/
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
	find . -path ./$(VENV) -prune -o -path ./.git -prune -o -name __pycache__ -type d -exec rm -rf {} +

distclean: clean ## clean, and remove .venv
	rm -rf $(VENV)

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || \
	  { echo "$(PYTHON) is not installed; choose another with PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "$(PYTHON) is older than 3.10; choose another with PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) lacks venv; install it (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# torch goes first and pinned: left to the resolver, an open range may fetch gigabytes of another build. Without the constraints:
# an index of CPU builds need not have these versions of what torch needs, which the next line brings.
$(STAMP): $(INPUTS) | $(BIN)/python
	$(PIP) "$(TORCH)" $(TORCH_ARGS)
	$(PIP) -e ".[dev]" -c constraints.txt
	@touch $@

$(VENV)/.installed-%: $(STAMP)
	$(PIP) -e ".[$*]" -c constraints.txt
	@touch $@
