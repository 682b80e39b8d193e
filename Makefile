# Two commands do all the set-up: `make demo` and `make test`. Both make .venv from requirements.lock and
# requirements-torch.lock.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO := demo-output
TOOLS := build/tools
WHEEL := build/wheel
VERSIONS := $(WHEEL)/versions.txt
# The workers of pytest-xdist take all cores: threads of OpenMP would only wait for each other. Those that a
# training starts all the same wait without taking a core.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE
# A test of stress tries every moment of a command, for longer than any of the suite may take.
LONG := -o faulthandler_timeout=86400

.PHONY: demo test test-avx2 test-wheel check bench gpu-check stress tools airflow-check sample lock clean

demo: $(READY)
	$(BIN)/rsdetect detect data/sample/before.tif data/sample/after.tif \
		--mask data/sample/before_mask.tif,data/sample/after_mask.tif --mask-kind plain \
		--min-area 10 --out $(DEMO) --overwrite
	@echo "Open $(DEMO)/changes.qgz in QGIS: the changes over both scenes."

# A file of tests is run by one worker: what its tests share is made once. Where Python writes no bytecode, each
# process that a test starts would compile the package.
test: $(READY)
	$(BIN)/python -m compileall -q rsdetect
	$(ONE_THREAD) $(BIN)/python -m pytest -n auto --dist loadfile --durations=40

# What depends on the processor, as on one with AVX2 and without VNNI (AMD Zen 2 and 3, older Intel).
test-avx2: $(READY)
	$(ONE_THREAD) $(BIN)/python tests/support/older_processor -n auto --dist loadfile \
		tests/backends tests/detectors tests/scoring tests/jobs/test_detect.py tests/test_metrics.py \
		tests/training/test_training_run.py

# The wheel in an environment that holds nothing else: it scores the sample as users have it.
test-wheel: $(READY)
	rm -rf $(WHEEL)
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir $(WHEEL) .
	$(PYTHON) -m venv $(WHEEL)/bare
	sed -n 's/^\([^ ]*==[^ ]*\).*/\1/p' requirements.lock requirements-torch.lock > $(VERSIONS)
	$(WHEEL)/bare/bin/python -m pip install --quiet --constraint $(VERSIONS) $(WHEEL)/*.whl
	cd $(WHEEL) && bare/bin/rsdetect detect $(CURDIR)/data/sample/before.tif $(CURDIR)/data/sample/after.tif \
		--out sample --quiet
	cd $(WHEEL) && bare/bin/rsdetect simulate --out simulated --size 64
	cd $(WHEEL) && bare/bin/rsdetect monitor init job.yaml

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/hadolint Dockerfile Dockerfile.gpu

# All benchmarks in quick sizes; benchmarks/README.md describes how to get the figures of docs/performance.md.
bench: $(READY)
	$(BIN)/python benchmarks/end_to_end.py --mpx 9 --peers
	$(BIN)/python benchmarks/reading.py
	$(BIN)/python benchmarks/backends.py
	$(BIN)/python benchmarks/polygons.py
	$(BIN)/python benchmarks/scaling.py

# Where there is a GPU: its raster against that of the processor, and Mpx/s of both, within eight minutes.
gpu-check: $(READY)
	$(BIN)/python benchmarks/gpu_check.py --json benchmarks/gpu_check.json

# Kubernetes' models and Snakemake, in which tests/workflows check files for them: RSDETECT_TOOLS=$(TOOLS).
tools: $(TOOLS)/.ready

# Airflow loads our DAG. It pins hundreds of packages, and is installed for this alone.
airflow-check: $(READY)
	$(PYTHON) -m venv build/airflow
	build/airflow/bin/python -m pip install --quiet apache-airflow==3.3.2
	RSDETECT_AIRFLOW=$(CURDIR)/build/airflow $(BIN)/python -m pytest tests/workflows/test_services.py -k airflow

# Lazy scenes of 1 600 Mpx each within 1 GB, and a failure where the memory does not hold: four minutes. Kills
# before every change of the file system and failures of every call: hours. What has passed is kept in
# build/stress.jsonl, and the same command goes on from there. docs/reliability.md has figures.
stress: $(READY) airflow-check
	$(BIN)/python benchmarks/lazy.py
	$(ONE_THREAD) RSDETECT_STRESS=$(CURDIR)/build/stress.jsonl $(BIN)/python -m pytest $(LONG) -n auto --dist load --maxschedchunk 1 -m stress
	$(ONE_THREAD) RSDETECT_STRESS=$(CURDIR)/build/stress.jsonl $(BIN)/python -m pytest $(LONG) tests/jobs/test_hostile_corpus.py
	$(BIN)/python tests/support/trials.py build/stress.jsonl

# The scenes of the demo, from their seed.
sample: $(READY)
	$(BIN)/rsdetect simulate --out data/sample --kind vhr --size 640 --gsd 0.8 --seed 42 --overwrite

# The newest versions that pyproject.toml allows; run the tests before you commit the result. The hashes are
# those of every file that the index lists, for all platforms. The CPU build of torch has other hashes than the
# default build, whose CUDA packages are part of no CPU installation.
lock: $(READY)
	$(BIN)/python -m pip install --upgrade pip
	$(BIN)/python -m pip install --upgrade torch==2.13.0 -e '.[cluster,cpu,monitor,serve,train]' --group dev
	mkdir -p build
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu$$//; /^nvidia-/d; /^cuda-/d; /^triton==/d' > build/frozen.txt
	grep '^torch==' build/frozen.txt > requirements-torch.lock
	grep -v '^torch==' build/frozen.txt | $(BIN)/uv pip compile --quiet --no-deps --generate-hashes --no-header \
		--no-annotate --output-file requirements.lock -

clean:
	rm -rf $(VENV) $(DEMO) build

$(READY): requirements.lock requirements-torch.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --requirement requirements-torch.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

$(TOOLS)/.ready: tests/workflows/requirements.txt
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet --requirement tests/workflows/requirements.txt
	touch $@
