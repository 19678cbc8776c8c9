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
from graphs import make_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import STAGES
from small_bank import DOMAINS, engine_of, make_bank
from typer.testing import CliRunner

import streamsep
from streamsep.assembly import make_engine, settings_of
from streamsep.audio.live import collector_frozen
from streamsep.bench import run, start
from streamsep.bench import watched as look
from streamsep.bench.banks import bank_of, front_ends, main_first
from streamsep.bench.catch_up import Restless, time_catch_up
from streamsep.bench.hop import FADING, TURNS, WARM_UP, Case, Fading, time_cases, traced_peak
from streamsep.bench.report import NEEDED
from streamsep.bench.stimulus import as_blocks, lively_noise
from streamsep.bench.timing import figures, one_core, time_calls
from streamsep.cli.main import app
from streamsep.models.bank import open_bank
from streamsep.realtime.stft import FrontEnd, check_lengths

ENTRY = {"p50_ms", "p99_ms", "p999_ms", "max_ms", "hops", "deadline_ms", "late", "curve_ms"}
PERCENTILES = ["p50_ms", "p99_ms", "p999_ms", "max_ms"]


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bank(tmp_path_factory.mktemp("bench") / "my #1 bank")


@pytest.fixture(scope="module")
def report(bank: Path) -> dict[str, Any]:
    """Of a bank without a monitor."""
    return measured(bank, "--domain", "music")


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Of one model, with its look-back graph beside it."""
    folder = make_calibrated_bank(tmp_path_factory.mktemp("bench") / "bank", noise=promising(2.0, balance=0.0))
    return measured(folder / "noise-step-fp32.onnx", sizes=(1, 2))


def measured(what: Path, *arguments: str, sizes: tuple[int, ...] = run.SIZES) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(start, "STARTS", 1)
        patch.setattr(run, "SIZES", sizes)
        for module in (run, look):
            patch.setattr(module, "LOOKS_S", 4.5)
        outcome = CliRunner().invoke(app, ["bench", str(what), "--json", "--seconds", "0.2", *arguments])
    assert outcome.exit_code == 0, outcome.output
    return json.loads(outcome.stdout)


def entries(report: Any) -> list[dict[str, Any]]:
    """Everything that has percentiles."""
    if not isinstance(report, dict):
        return []
    inner = [found for value in report.values() for found in entries(value)]
    return [report, *inner] if "p50_ms" in report else inner


def test_the_report_has_the_promised_keys(report: dict[str, Any]) -> None:
    assert {"cpu", "cores", "os", "load_average", "measured_on_core", "drift"} == report["machine"].keys()
    assert {"python", "numpy", "onnxruntime", "streamsep"} == report["versions"].keys()
    assert report["versions"]["streamsep"] == streamsep.__version__
    assert report["settings"]["models"]["precision"] == "fp32"  # the only one there is
    assert {"length_ms", "latency_ms", "stages", *ENTRY} == report["hop"].keys()
    assert (report["hop"]["length_ms"], report["hop"]["latency_ms"]) == (4.0, 8.0)
    assert DOMAINS.keys() == report["graph"].keys()
    assert report["rates"].keys() == {"16000", "44100", "48000"}
    assert report["channels"].keys() == {"1", "2", "4"}
    assert report["banks"].keys() == {"1", "2", "4", "8"}
    assert report["model"]["domain"] == "music"
    for times in (report["file"]["times_real_time"], report["batch"]["times_real_time"], report["import_s"]):
        assert times > 0
    assert 0 < report["memory"]["traced_peak_bytes_per_hop"] < 4096
    assert set(NEEDED) <= report.keys()


def test_hops_of_every_length_are_measured_in_every_way(report: dict[str, Any]) -> None:
    assert {ms: each["latency_ms"] for ms, each in report["hops"].items()} == {"2": 4.0, "4": 8.0, "8": 16.0}
    for ms, each in report["hops"].items():
        assert each.keys() == {"latency_ms", "fp32"}
        assert each["fp32"].keys() == {"plain", "fade"}
        for entry in each["fp32"].values():
            assert entry["deadline_ms"] == float(ms)
            assert entry["stages"].keys() == set(STAGES)
            assert sum(stage["share"] for stage in entry["stages"].values()) == pytest.approx(1, abs=1e-3)
            assert all(stage["share"] > 0 for stage in entry["stages"].values())
    usual = report["hops"]["4"]["fp32"]["plain"]
    assert {key: report["hop"][key] for key in usual} == usual


def test_rarer_times_are_never_shorter(report: dict[str, Any], watched: dict[str, Any]) -> None:
    staged, banks = 1 + len(STAGES), {"report": 4, "watched": 2 * 2}
    for name, each, monitor in (("report", report, 0), ("watched", watched, 4)):
        found = entries(each)
        assert len(found) == (1 + 3 * 2) * staged + len(each["graph"]) + 3 + 3 + 1 + banks[name] + monitor
        for percentiles in found:
            values = [percentiles[key] for key in PERCENTILES]
            assert values[0] > 0
            assert values == sorted(values)


def test_a_distribution_says_how_many_hops_it_is_of_and_how_many_were_late(report: dict[str, Any]) -> None:
    found = [entry for entry in entries(report) if "hops" in entry]
    assert len(found) == 1 + 6 + 3 + 3 + 4 + 1
    for entry in found:
        assert entry.keys() >= ENTRY
        assert len(entry["curve_ms"]) == len(report["shares"])
        assert entry["curve_ms"] == sorted(entry["curve_ms"])
        assert entry["curve_ms"][-1] == entry["max_ms"]
        assert entry["p50_ms"] in entry["curve_ms"]
        assert 0 <= entry["late"] <= entry["hops"]
        assert (entry["late"] > 0) == (entry["max_ms"] > entry["deadline_ms"])


def test_a_start_is_the_sum_of_its_parts(report: dict[str, Any]) -> None:
    for size in report["banks"].values():
        found = size["start"]
        parts = [found[name] for name in ("python_s", "import_s", "open_s", "hop_s")]
        assert all(part > 0 for part in parts)
        assert found["together_s"] == pytest.approx(sum(parts), abs=1e-3)
        assert found["rss_mb"] is None or found["rss_mb"] >= found["rss_import_mb"] > 10


def test_one_model_of_your_own_is_measured_with_its_monitor(watched: dict[str, Any]) -> None:
    assert watched["graph"].keys() == {"noise"}
    assert Path(watched["settings"]["models"]["bank"]).name == "noise-step-fp32.onnx"
    assert watched["hops"]["4"]["fp32"].keys() == {"plain", "fade"}  # into itself
    found = watched["monitor"]
    assert found["every_s"] == 0.5
    assert 0 < found["share_of_a_core"] < 1 or sys.platform != "linux"
    assert found["rss_mb"] is None or found["rss_mb"] > 10
    assert found["hop_with"]["hops"] == found["hop_without"]["hops"] == 500
    assert all(size["look"]["p50_ms"] > 0 for size in watched["banks"].values())
    assert watched["file"]["auto_times_real_time"] > 0


def test_what_cannot_be_measured_is_left_out_and_said(report: dict[str, Any]) -> None:
    assert report["monitor"] is report["file"]["auto_times_real_time"] is None
    assert any("The monitor was left out" in note for note in report["notes"])
    assert all(size["look"] is None for size in report["banks"].values())


def test_people_get_tables(report: dict[str, Any], watched: dict[str, Any], tmp_path: Path) -> None:
    for each in (report, watched):
        file = tmp_path / "report.json"
        file.write_text(json.dumps(each))
        outcome = CliRunner().invoke(app, ["bench", str(file), "-o", str(tmp_path / "out")])
        assert outcome.exit_code == 0, outcome.output
        for told in ("whole hop", "crossfade", "p99.9", "8 ms, fp32, in a fade", "at 48000 Hz", "times faster"):
            assert told in outcome.stdout
        assert ("with the monitor " in outcome.stdout) == (each is watched)
        assert "deadline 4 ms" in (tmp_path / "out" / "bench.html").read_text()


@given(st.lists(st.integers(1, 10**10), min_size=1, max_size=2000))
def test_every_figure_is_a_time_that_occurred(took: list[int]) -> None:
    found = figures(np.array(took))
    assert {found.p50_ms, found.p99_ms, found.p999_ms, found.max_ms} <= {round(value / 1e6, 4) for value in took}
    assert found.max_ms == round(max(took) / 1e6, 4)


def test_without_models_it_says_so(tmp_path: Path) -> None:
    outcome = CliRunner().invoke(app, ["bench", "--set", f"models.bank={tmp_path}"])
    assert outcome.exit_code == 1
    assert "no model here" in outcome.stderr


def test_a_model_without_a_manifest_is_refused(tmp_path: Path) -> None:
    model = make_graph(tmp_path / "mine.onnx", metadata=None)
    outcome = CliRunner().invoke(app, ["bench", str(model)])
    assert outcome.exit_code == 1
    told = outcome.stderr.replace("\n", "")
    assert str(model) in told
    assert "no manifest: expected JSON under the metadata key 'streamsep.manifest'" in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.onnx"], "none.onnx: no such model file"),
        (["none.json"], "none.json: no such report"),
        (["--compare", "none.json"], "none.json: no such report"),
        (["--set", "models.precision=int4"], "models.precision"),
        (["--domain", "nonsense"], "unknown domain 'nonsense'"),
        (["-o", __file__], "there is a file of this name"),
    ],
)
def test_what_cannot_be_measured_is_refused(arguments: list[str], said: str) -> None:
    outcome = CliRunner().invoke(app, ["bench", *arguments])
    assert outcome.exit_code == 1
    assert said in outcome.stderr


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


def test_in_a_fade_two_models_run_in_every_hop_and_it_never_ends(bank: Path) -> None:
    with engine_of(bank, **FADING) as engine:
        calls, fading = count_calls(engine), Fading(engine, "music")
        for hop, block in enumerate(Case(engine, 600).blocks):
            fading()
            engine.process(block)
            assert calls[0] == 2 * (hop + 1)
        assert engine.counters.switches >= 2


@given(st.sampled_from([16_000, 44_100, 48_000]), st.integers(1, 2), st.integers(1, 50))
@settings(max_examples=20, deadline=None)
def test_every_block_of_a_case_completes_one_hop(bank: Path, rate: int, channels: int, hops: int) -> None:
    with engine_of(bank, rate=rate, channels=channels) as engine:
        case = Case(engine, hops)
        assert len(case.blocks) == sum(map(len, case.turns)) >= hops + TURNS * WARM_UP
        for index, block in enumerate(case.blocks[:300]):
            engine.process(block)
            assert engine.counters.hops == index + 1


def test_cases_take_turns_and_what_is_warm_up_is_not_counted(bank: Path) -> None:
    order: list[str] = []
    with engine_of(bank) as one, engine_of(bank) as other:
        cases = {name: Case(engine, 10, lambda name=name: order.append(name)) for name, engine in
                 (("one", one), ("other", other))}  # fmt: skip
        found = time_cases(cases)
    turn = WARM_UP + 3
    assert order == (["one"] * turn + ["other"] * turn) * TURNS
    assert [found[name]["hops"] for name in cases] == [3 * TURNS] * 2


@given(
    rate=st.sampled_from([8000, 16_000, 32_000, 48_000]),
    hop=st.integers(1, 500),
    frames=st.integers(2, 16),
    overlap=st.integers(2, 16),
)
def test_every_other_hop_fits_the_window_of_the_model(rate: int, hop: int, frames: int, overlap: int) -> None:
    own = FrontEnd(rate, 2 * hop * max(frames, overlap), 2 * hop, hop)
    found = front_ends(own)
    assert found[1000 * hop / rate] == own
    assert list(found) == sorted(found)
    for ms, front in found.items():
        check_lengths(front.window, front.synthesis_window, front.hop)
        assert front.bins == own.bins
        assert front.hop == pytest.approx(ms / 1000 * rate, abs=0.5)


@given(st.integers(1, 9))
@settings(max_examples=9, deadline=None)
def test_a_bank_can_be_as_large_as_wanted(bank: Path, count: int) -> None:
    paths = main_first(open_bank(str(bank), "fp32"), "noise")
    found = bank_of(paths, count)
    assert len(found.models) == count
    assert found.domains[0] == "noise"
    assert len({id(model.separator) for model in found.models.values()}) == count
    assert all(domain == model.manifest.domain for domain, model in found.models.items())


def test_while_one_catches_up_three_graphs_run_in_every_hop_that_is_measured(bank: Path) -> None:
    blocks, counts = as_blocks(lively_noise(1, 16_000, 1), 64), []
    chosen = settings_of("default", "noise", {"models": {"bank": str(bank), "precision": "fp32"}})
    models = open_bank(str(bank), "fp32")
    engine = make_engine(chosen, models, 16_000, 1, Restless(models.separators(), 64))
    calls, hop = count_calls(engine), engine._hand_over.process

    def noting(*arguments: Any) -> None:
        before = calls[0]
        hop(*arguments)
        if engine._hand_over._behind > 0:
            counts.append(calls[0] - before)

    engine._hand_over.process = noting  # type: ignore[method-assign]
    took = time_catch_up(engine, blocks, warm_up=0)
    assert took is not None
    assert len(took) == len(counts) > 10
    assert set(counts) == {3}


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
