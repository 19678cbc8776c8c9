"""The benchmark keeps what it promises to programs, measures what it says, and leaves everything as it was."""

import gc
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from calibrated import make_calibrated_bank, promising
from hypothesis import given
from hypothesis import strategies as st
from small_bank import DOMAINS, make_bank
from typer.testing import CliRunner

import streamsep
from streamsep.assembly import make_engine, settings_of
from streamsep.audio.live import collector_frozen
from streamsep.bench.catch_up import time_catch_up
from streamsep.bench.hop import Shim, time_deadline_case, time_stages, traced_peak
from streamsep.bench.stimulus import as_blocks, lively_noise
from streamsep.bench.timing import figures, one_core, time_calls
from streamsep.cli.bench import monitor_report
from streamsep.cli.main import app
from streamsep.models.bank import open_bank

PERCENTILES = ["p50_ms", "p99_ms", "p999_ms", "max_ms"]


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bank(tmp_path_factory.mktemp("bench") / "bank")


@pytest.fixture(scope="module")
def report(bank: Path) -> dict[str, Any]:
    short = ["--seconds", "0.2", "--precision", "fp32", "--domain", "music", "--set", f"models.bank={bank}"]
    outcome = CliRunner().invoke(app, ["bench", "--json", *short])
    assert outcome.exit_code == 0, outcome.output
    return json.loads(outcome.stdout)


def engine_of(bank: Path) -> streamsep.Engine:
    return streamsep.load(domain="noise", models={"bank": str(bank), "precision": "fp32"})


def sets_of_percentiles(report: Any) -> list[dict[str, float]]:
    if not isinstance(report, dict):
        return []
    inner = [found for value in report.values() for found in sets_of_percentiles(value)]
    return [{key: report[key] for key in PERCENTILES}, *inner] if "p50_ms" in report else inner


def test_the_report_has_the_promised_keys(report: dict[str, Any]) -> None:
    assert {"cpu", "cores", "os", "load_average", "measured_on_core"} == report["machine"].keys()
    assert {"python", "numpy", "onnxruntime", "streamsep"} == report["versions"].keys()
    assert report["versions"]["streamsep"] == streamsep.__version__
    assert {"length_ms", "stages", *PERCENTILES} == report["hop"].keys()
    assert report["hop"]["length_ms"] == 4.0
    assert {"analysis", "graph", "masks", "synthesis", "limiter", "rest"} == report["hop"]["stages"].keys()
    assert DOMAINS.keys() == report["graph"].keys()
    assert {"44100", "48000"} == report["rates"].keys()
    assert {"2"} == report["channels"].keys()
    assert report["model"]["domain"] == "music"
    for times in (report["file"]["times_real_time"], report["batch"]["times_real_time"], report["import_s"]):
        assert times > 0
    assert report["memory"]["traced_peak_bytes_per_hop"] < 4096


def test_rarer_times_are_never_shorter(report: dict[str, Any]) -> None:
    found = sets_of_percentiles(report)
    assert len(found) == 1 + 6 + 1 + 1 + len(DOMAINS) + 2 + 1
    for percentiles in found:
        assert 0 < percentiles["p50_ms"] <= percentiles["p99_ms"] <= percentiles["p999_ms"] <= percentiles["max_ms"]


@given(st.lists(st.integers(1, 10**10), min_size=1, max_size=2000))
def test_every_figure_is_a_time_that_occurred(took: list[int]) -> None:
    found = figures(np.array(took))
    assert {found.p50_ms, found.p99_ms, found.p999_ms, found.max_ms} <= {round(value / 1e6, 4) for value in took}
    assert found.max_ms == round(max(took) / 1e6, 4)


def test_people_get_a_table(bank: Path) -> None:
    one = bank.parent / "one"
    one.mkdir(exist_ok=True)
    (one / "noise-step-fp32.onnx").write_bytes((bank / "noise-step-fp32.onnx").read_bytes())
    short = ["--seconds", "0.1", "--precision", "fp32", "--set", f"models.bank={one}"]
    outcome = CliRunner().invoke(app, ["bench", *short])
    assert outcome.exit_code == 0, outcome.output
    for told in ("whole hop", "p99.9", "at 48000 Hz", "graph of noise alone", "times faster than real time"):
        assert told in outcome.stdout
    assert "two models at once" not in outcome.stdout  # one domain has nowhere to go


def test_without_models_it_says_so(tmp_path: Path) -> None:
    outcome = CliRunner().invoke(app, ["bench", "--set", f"models.bank={tmp_path}"])
    assert outcome.exit_code == 1
    assert "no model here" in outcome.stderr


def test_a_precision_that_is_none_is_said() -> None:
    outcome = CliRunner().invoke(app, ["bench", "--precision", "int4"])
    assert outcome.exit_code == 1
    assert "models.precision" in outcome.stderr


def test_the_quiet_place_leaves_no_trace() -> None:
    enabled, frozen = gc.isenabled(), gc.get_freeze_count()
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    with one_core() as core, collector_frozen():
        assert not gc.isenabled()
        if cores is not None:
            assert os.sched_getaffinity(0) == {core} <= cores
    assert gc.isenabled() == enabled
    assert gc.get_freeze_count() == frozen
    assert cores is None or os.sched_getaffinity(0) == cores


def test_only_what_follows_the_warm_up_is_counted() -> None:
    heard: list[float] = []
    took = time_calls(lambda block: heard.append(float(block)), np.arange(10.0), warm_up=4)
    assert heard == list(range(10))
    assert took.shape == (6,)
    assert np.all(took > 0)


def test_a_shim_changes_nothing_and_comes_off() -> None:
    class Part:
        def process(self, value: int) -> int:
            return value + 1

    part = Part()
    shim = Shim(part, 3)
    assert [part.process(value) for value in range(3)] == [1, 2, 3]
    assert np.all(np.diff(np.stack([shim.entered, shim.left], 1).ravel()) > 0)
    shim.remove()
    assert part.process(4) == 5
    assert "process" not in vars(part)


def test_timing_the_stages_does_not_change_the_sound(bank: Path) -> None:
    blocks = as_blocks(lively_noise(0.5, 16_000, 1), 64)
    with engine_of(bank) as timed, engine_of(bank) as plain:
        time_stages(timed, blocks, warm_up=5)
        for block in blocks:
            plain.process(block)
        np.testing.assert_array_equal(timed.process(blocks[0]), plain.process(blocks[0]))


def count_calls(engine: streamsep.Engine) -> list[int]:
    """One number, which from now on goes up with every hop of every model."""
    calls = [0]
    for rendering in engine._renderings:
        inner = rendering.separator.process

        def counted(*arguments: Any, inner: Any = inner) -> Any:
            calls[0] += 1
            return inner(*arguments)

        rendering.separator.process = counted
    return calls


def test_in_the_deadline_case_two_models_run_in_every_hop(bank: Path) -> None:
    blocks = as_blocks(lively_noise(2, 16_000, 1), 64)
    with engine_of(bank) as engine:
        calls = count_calls(engine)
        took = time_deadline_case(engine, blocks, warm_up=10)
        assert took is not None
        assert calls[0] == 10 + 2 * len(took)
        assert engine.counters.switches >= 2


def test_while_one_catches_up_three_graphs_run_in_every_hop_that_is_measured(bank: Path) -> None:
    blocks, counts = as_blocks(lively_noise(1, 16_000, 1), 64), []
    chosen = settings_of("default", "noise", {"models": {"bank": str(bank), "precision": "fp32"}})
    models = open_bank(str(bank), "fp32")

    def make(monitor: Any) -> streamsep.Engine:
        engine = make_engine(chosen, models, 16_000, 1, monitor(models.separators(), 64))
        calls, hop = count_calls(engine), engine._hand_over.process

        def noting(*arguments: Any) -> None:
            before = calls[0]
            hop(*arguments)
            if engine._hand_over._behind > 0:
                counts.append(calls[0] - before)

        engine._hand_over.process = noting  # type: ignore[method-assign]
        return engine

    took = time_catch_up(make, blocks, warm_up=0)
    assert took is not None
    assert len(took) == len(counts) > 10
    assert set(counts) == {3}


def test_the_monitor_is_measured_by_itself_and_beside_the_sound(tmp_path: Path) -> None:
    promises = {"music": promising(0.0, balance=1.0), "noise": promising(2.0, balance=0.0)}
    mine = make_calibrated_bank(tmp_path / "bank", **promises)
    chosen = settings_of("default", "noise", {"models": {"bank": str(mine), "precision": "fp32"}})
    found = monitor_report(chosen, 16_000, 0.1)
    assert found["every_s"] == 0.5
    assert 0 < found["share_of_a_core"] < 1 or sys.platform != "linux"
    for name in ("look", "whole_look_back", "hop_without", "hop_with"):
        assert 0 < found[name]["p50_ms"] <= found[name]["max_ms"]


def test_the_peak_of_a_hop_sees_what_it_allocates(bank: Path) -> None:
    blocks = as_blocks(lively_noise(0.1, 16_000, 1), 64)
    with engine_of(bank) as engine:
        inner = engine._limiter.process
        engine._limiter.process = lambda samples: inner(samples + np.zeros((1000, 1)).sum())  # type: ignore[method-assign]
        assert traced_peak(engine.process, blocks, warm_up=2) >= 8000


@given(st.integers(1, 3), st.sampled_from([16_000, 44_100, 48_000]))
def test_the_sound_to_measure_with_is_sound(channels: int, rate: int) -> None:
    samples = lively_noise(1.5, rate, channels)
    assert samples.shape == (rate * 3 // 2, channels)
    assert samples.dtype == np.float32
    assert np.all(np.isfinite(samples))
    assert np.all(samples[1:].any(axis=1))
