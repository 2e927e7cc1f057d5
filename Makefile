# `make run` and `make test` set everything up on a machine that has nothing but Python; `make help` lists all targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

# accelerate finds GPUs by itself. Without one, say what it would otherwise warn about, and give it every core.
ifeq ($(shell command -v nvidia-smi 2>/dev/null),)
LAUNCH_FLAGS ?= --num_processes 1 --num_machines 1 --mixed_precision no --dynamo_backend no \
	--num_cpu_threads_per_process $(shell getconf _NPROCESSORS_ONLN)
endif

.PHONY: run test test-trust test-oldest fuzz audit interop weights speed docs lint format clean help

run: $(VENV)/.installed-run ## train three models on a phantom and print their tables; ARGS="..." are options of benchmarks/run_all.py
	$(BIN)/accelerate launch $(LAUNCH_FLAGS) benchmarks/run_all.py $(ARGS)

# Tests run in parallel, one process per core; more than eight would not be faster.
WORKERS ?= $(shell cores=$$(getconf _NPROCESSORS_ONLN); echo $$((cores < 8 ? cores : 8)))

test: $(VENV)/.installed-dev ## run the tests in parallel, one process per core; ARGS="..." are options of pytest
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

# The weights that come with the package, trained again from nothing: about seven hours on two cores. The last part needs
# radiographs of wrists without labels: make weights RADIOGRAPHS=folder. Ours were sixteen of RAM-W600 under CC BY 4.0.
RADIOGRAPHS ?= $(error the last part of the weights needs a folder of wrist radiographs: make weights RADIOGRAPHS=folder)
TUNE := $(BIN)/jointwrist train jointwrist_tiny --data results/weights/data --config recipes/jointwrist_tiny_tune.yaml
FINE := $(TUNE) --config recipes/jointwrist_tiny_fine.yaml
MALALIGNED := $(FINE) --config recipes/jointwrist_tiny_malaligned.yaml
INSERTED := $(BIN)/jointwrist train jointwrist_tiny --data results/weights/families --config recipes/jointwrist_tiny_radiographs.yaml
MORE := $(INSERTED) --config recipes/jointwrist_tiny_radiographs_more.yaml
# A threshold that is chosen on the training radiographs would be too low for others: that of the shipped weights comes
# from the same training on every second radiograph, studied on the others.
HALF := results/weights/half

weights: $(VENV)/.installed-run ## train the shipped weights again, about seven hours; needs RADIOGRAPHS=folder
	$(BIN)/jointwrist data phantom results/weights/data --wrists 900 --size 448 --seed 77 \
		--set prevalence=0.15 osteopenia=0.95 relief=0.7 off_centre=1.7
	$(BIN)/jointwrist train jointwrist_tiny --config recipes/jointwrist_tiny.yaml --data results/weights/data \
		--out results/weights/run
	$(TUNE) --out results/weights/tuned
	$(TUNE) --out results/weights/twice --set start=results/weights/tuned seed=3409 stream.seed=20261128
	$(TUNE) --out results/weights/uneven --set start=results/weights/twice seed=3410 stream.seed=20261129 augment.uneven=0.7
	$(TUNE) --out results/weights/uneven2 --set start=results/weights/uneven seed=3411 stream.seed=20261130 augment.uneven=1.0
	$(TUNE) --out results/weights/lips --set start=results/weights/uneven2 seed=3412 stream.seed=20261201 augment.uneven=1.0
	$(TUNE) --out results/weights/pads --set start=results/weights/lips seed=3413 stream.seed=20261202 augment.uneven=1.0
	$(TUNE) --out results/weights/pads2 --set start=results/weights/pads/last.safetensors seed=3414 stream.seed=20261203 augment.uneven=1.0
	$(FINE) --out results/weights/fine
	$(FINE) --out results/weights/fine2 --set start=results/weights/fine seed=3416 stream.seed=20261205 optim.lr=2.0e-3
	$(FINE) --out results/weights/fine3 --set start=results/weights/fine2 seed=3417 stream.seed=20261206 optim.lr=2.0e-3 optim.epochs=3
	$(MALALIGNED) --out results/weights/fine4
	$(MALALIGNED) --out results/weights/fine5 --set start=results/weights/fine4/last.safetensors seed=3419 stream.seed=20261208 optim.lr=1.5e-3 optim.epochs=2
	$(BIN)/jointwrist data phantom results/weights/families --parts 16 64 16 --size 600 --seed 99 --set prevalence=0.25 \
		severity='[0.55, 0.25, 0.12, 0.03, 0.05]' field_of_view='[77.0, 108.0]' osteopenia=0.95 relief=0.7 off_centre=1.7 \
		malalignment=4.0 families='{all: 1, cluster: 3}' look_alikes=0.3
	$(INSERTED) --radiographs $(RADIOGRAPHS) --out results/weights/inserted
	$(MORE) --radiographs $(RADIOGRAPHS) --out results/weights/inserted2
	mkdir -p $(HALF)/seen $(HALF)/unseen
	ls $(RADIOGRAPHS)/*.png | awk 'NR % 2 == 1' | xargs -I FILE cp FILE $(HALF)/seen
	ls $(RADIOGRAPHS)/*.png | awk 'NR % 2 == 0' | xargs -I FILE cp FILE $(HALF)/unseen
	$(INSERTED) --radiographs $(HALF)/seen --out $(HALF)/inserted --set seed=3611 stream.seed=20261311
	$(MORE) --radiographs $(HALF)/seen --out $(HALF)/inserted2 --set start=$(HALF)/inserted seed=3612 stream.seed=20261312
	$(BIN)/jointwrist detectability $(HALF)/unseen --weights $(HALF)/inserted2 --bones results/weights/inserted2 --radii 1 2 \
		--false-calls 0.1 --out $(HALF)/study --threshold-for results/weights/inserted2 \
		--threshold-into jointwrist/weights/jointwrist_tiny.safetensors
	$(BIN)/python benchmarks/scope.py jointwrist/weights/jointwrist_tiny.safetensors --write
	$(BIN)/python -m jointwrist.inference.engines.program_cache jointwrist/weights/jointwrist_tiny.safetensors
	$(BIN)/python -m jointwrist.selftest > jointwrist/weights/golden.json

test-trust: $(VENV)/.installed-dev ## measure the figures of docs/trust.md again
	$(BIN)/python -m pytest -m trust --trust-table=docs/trust.md $(ARGS)

# Ten minutes with files that atheris makes up; what it finds stays in results/fuzz.
fuzz: $(VENV)/.installed-dev ## feed the readers of DICOM and NumPy files with made-up files for ten minutes
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[fuzz]'
	$(BIN)/python tests/fuzz.py dicom $(ARGS)
	$(BIN)/python tests/fuzz.py npy $(ARGS)

# The oldest versions that pyproject.toml claims, in an environment of their own.
OLDEST := .venv-oldest
OLDEST_TESTS := $(addprefix tests/test_,$(addsuffix .py,bad_files checkpoint cluster config dicom dicom_compression dicom_results dicom_source encoder_export \
	engine export hub images joint losses mamba metrics_erosion oldest phantom predictor properties ram_w600 roi samplers scan \
	session statistics tables))
OLDEST_BASELINES := $(addprefix tests/test_,$(addsuffix .py,baselines_readme convert foundation losses metrics_pairs \
	metrics_segmentation models official))
test-oldest: ## run tests with the oldest supported versions of the dependencies
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python tests/oldest.py > $(OLDEST)/constraints.txt
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check -c $(OLDEST)/constraints.txt \
		-e '.[dicom,export,slurm,tracking]' hypothesis pytest pytest-timeout scikit-learn
	$(OLDEST)/bin/python -m pytest $(OLDEST_TESTS) $(ARGS)
	# transformers brings a newer huggingface_hub along than this package claims alone
	sed -i.all /^huggingface_hub/d $(OLDEST)/constraints.txt
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check -c $(OLDEST)/constraints.txt -e '.[baselines]'
	$(OLDEST)/bin/python -m pytest $(OLDEST_BASELINES) $(ARGS)

# Known vulnerabilities of what is installed; --strict: a package that the service does not know is a failure.
audit: $(VENV)/.installed-dev ## look for known vulnerabilities in the installed packages
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pip-audit
	$(BIN)/python -m pip freeze --exclude-editable > $(VENV)/audited.txt
	$(BIN)/pip-audit --strict --no-deps --disable-pip -r $(VENV)/audited.txt $(ARGS)

# Which tools read which outputs: docs/reference/what-opens-where.md. Installs pinned tools into a temporary folder.
interop: $(VENV)/.installed-dev ## find out which other tools read which outputs
	PYTHONPATH=tests $(BIN)/python -m interop.table

speed: $(VENV)/.installed-dev ## measure the speed of each part against alternatives
	$(BIN)/python benchmarks/speed.py all

# The site, under results/site; a warning is an error.
docs: $(VENV)/.installed-dev ## build the documentation in results/site
	$(BIN)/python -m mkdocs build --strict $(ARGS)

lint: $(VENV)/.installed-dev ## check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.installed-dev ## correct style and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

clean: ## remove environments, builds and caches
	rm -rf $(VENV) $(OLDEST) build dist *.egg-info .pytest_cache .ruff_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "jointwrist needs Python 3.11 or newer; choose one with: make PYTHON=python3.x"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-run: pyproject.toml setup.py | $(BIN)/python
	@echo "adding the baselines, DICOM and TensorBoard to $(VENV), once: some minutes if it is new"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[baselines,dicom,tracking]'
	touch $@

$(VENV)/.installed-dev: pyproject.toml setup.py | $(BIN)/python
	@echo "adding what the tests need to $(VENV), once: some minutes if it is new"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@
