# make demo | make test | make bench | make bench-cuda | make lint | make clean
#
# Each target sets up what it needs: system packages through apt where root, the rest in .venv.
# With a sourced ROS 2 the package is built for that one, else for ROS 2 wheels.
# Another interpreter: make test PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input install --quiet \
	--constraint requirements/constraints.txt
# An environment built for one ROS 2 does not serve another.
ROS := $(or $(ROS_DISTRO),wheels)
ROS_BUILD := $(if $(ROS_DISTRO),,--requirement requirements/ros-build.txt)
SOURCES := CMakeLists.txt package.xml pyproject.toml setup.py \
	$(shell find cmake config launch msg requirements romp_core ros2_romp src -type f \
		-not -path '*/__pycache__/*' 2>/dev/null)

.DELETE_ON_ERROR:
.PHONY: demo test bench bench-cuda lint clean

# Two processes: half of the tests wait for other processes. More would want 3 GiB each. Threads that
# wait must not spin on a core that the other process needs: four times as slow on two cores.
test: $(VENV)/.installed-$(ROS)
	OMP_WAIT_POLICY=passive $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

demo: $(VENV)/.installed-$(ROS)
	$(BIN)/python scripts/demo.py

# All are run, whatever becomes of one.
bench bench-cuda: $(VENV)/.installed-$(ROS)
	failed=; for name in $(BENCHMARKS); do \
		$(BIN)/python benchmarks/$$name.py $(DEVICE) || failed="$$failed $$name"; done; \
	$(BIN)/python benchmarks/write_docs.py && test -z "$$failed" || { echo "failed:$$failed" >&2; exit 1; }
bench: BENCHMARKS := against_simple_romp batch body markers memory messages node padding people \
	place synthetic tracking
bench-cuda: BENCHMARKS := against_simple_romp batch body padding people
bench-cuda: DEVICE := --device cuda

lint: $(VENV)/.linters
	$(BIN)/ruff check
	$(BIN)/ruff format --check

clean:
	rm -rf $(VENV) build install log dist *.egg-info

$(VENV)/.created: scripts/system_packages.sh
	scripts/system_packages.sh $(PYTHON)
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.linters: $(VENV)/.created requirements/constraints.txt
	$(PIP) ruff
	touch $@

# The build tools enter .venv itself, so that a change costs seconds: pip's isolated build would
# install them anew each time. The colcon test needs them too.
$(VENV)/.build-tools-$(ROS): $(VENV)/.created $(wildcard requirements/*.txt)
	@echo "Installing build tools and, unless sourced, ROS 2: a minute the first time"
	$(PIP) --requirement requirements/build.txt $(ROS_BUILD) || { echo "If the package index has no\
 ros-jazzy wheels for this machine, source a ROS 2 and run make again" >&2; exit 2; }
	touch $@

$(VENV)/.dependencies-$(ROS): $(VENV)/.build-tools-$(ROS) pyproject.toml
	@echo "Installing what ros2_romp and its tests need: minutes the first time"
	$(PIP) --no-build-isolation '.[test]'
	touch $@

$(VENV)/.installed-$(ROS): $(VENV)/.dependencies-$(ROS) $(SOURCES)
	rm -f $(VENV)/.installed-*
	$(PIP) --no-build-isolation --no-deps .
	touch $@
