# make demo: hear it.  make test: everything the tests need, then the tests.  make bench: latency, load and memory, here.
# make quality DATA=DIR: the models' figures on the lists in DIR.
# make soak: live sound for an hour.  make nightly: a simulated day, then the same for minutes, without a window, and under stress.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
endif
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test lint laws tests bench bench-readme quality soak nightly system clean

demo: $(VENV)/demo
	$(BIN)/streamsep demo -o demo-out

# In two processes: the laws alone take four minutes, and most of the other tests wait for sound to play.
test: system $(VENV)/dev
	$(MAKE) --no-print-directory -j2 laws tests

laws: lint
	$(BIN)/python -m pytest tests/test_contract.py

tests: $(VENV)/dev
	$(BIN)/python -m pytest --ignore=tests/test_contract.py

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/dev
	$(BIN)/streamsep bench -o bench-out

# Puts the figures of the newest `make bench` into the README.
bench-readme:
	sed -e '/^<!-- bench -->/,/^<!-- end of bench -->/{/^<!--/!d;}' -e '/^<!-- bench -->/r bench-out/bench.md' README.md > README.new
	mv README.new README.md

soak: system $(VENV)/dev
	$(BIN)/python tests/soak.py --minutes 60

nightly: system $(VENV)/dev
	$(BIN)/python tests/simulated_day.py --hours 24 --rate 16000
	$(BIN)/python tests/soak.py --minutes 10
	$(BIN)/python tests/soak.py --minutes 5 --period 64 --set latency.path=minimum-phase
	$(BIN)/python tests/soak.py --minutes 5 --stress

quality: $(VENV)/dev
	$(BIN)/streamsep quality $(DATA)

# Sound servers with their tools (jack_iodelay; in a package of their own on newer systems) and PortAudio, for the tests of
# live sound; elsewhere than on Debian and its kin, install them by hand.
system:
	@command -v jackd >/dev/null && command -v jack_iodelay >/dev/null && ldconfig -p | grep -q libportaudio && \
	 command -v sndfile-jackplay >/dev/null && command -v pulseaudio >/dev/null && command -v pactl >/dev/null && \
	 command -v pipewire >/dev/null && \
	 ls /usr/lib/*/alsa-lib/libasound_module_pcm_pulse.so /usr/lib/*/pipewire-0.3/jack/libjack.so.0 >/dev/null 2>&1 || \
	 { command -v apt-get >/dev/null || \
	   { echo "install JACK, sndfile-jackplay, PulseAudio, its plugin for ALSA, PipeWire, and PortAudio for the tests of live sound"; exit 1; }; \
	   sudo=$$(test "$$(id -u)" = 0 || echo sudo); \
	   $$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq jackd2 libportaudio2 \
	   sndfile-tools pulseaudio pulseaudio-utils libasound2-plugins \
	   $$(apt-cache search --names-only '^jack-example-tools$$' | cut -d' ' -f1) && \
	   DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends pipewire pipewire-jack; }

$(VENV)/pyvenv.cfg:
	$(PYTHON) -m venv $(VENV) || \
	 { echo "Python's venv is missing; on Debian: apt-get install python3-venv"; rm -rf $(VENV); exit 1; }

$(VENV)/demo: $(VENV)/pyvenv.cfg pyproject.toml
	$(PIP) -e ".[figures]"
	@touch $@

$(VENV)/dev: $(VENV)/pyvenv.cfg pyproject.toml
	$(PIP) torch==2.13.0
	$(PIP) -e ".[dev]"
	@touch $@

clean:
	rm -rf $(VENV) demo-out bench-out build dist
