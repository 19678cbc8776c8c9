"""The models are as good as they say: the bundled scene guards them, and the measuring itself measures."""

import csv
import json
import re
import shutil
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper
from rich.console import Console
from small_bank import make_bank
from typer.testing import CliRunner

import streamsep
import streamsep.cli.quality as quality
from streamsep.audio import files
from streamsep.cli.main import app
from streamsep.cli.quality import HEADINGS, SYSTEMS, show
from streamsep.demo.run import Segment, bundled_scene
from streamsep.errors import AudioError, ModelError
from streamsep.evaluation.intervals import Interval
from streamsep.evaluation.lists import LENGTH, RATE, Mixture, joined
from streamsep.evaluation.metrics import best_order, si_sdr_improvement_db
from streamsep.evaluation.quality import FIGURES, Estimates, Score, System, measure, summarise
from streamsep.evaluation.references import untouched
from streamsep.models.bank import ZOO, open_bank
from streamsep.models.manifest import METADATA_KEY

# What every shipped model must gain on sounds of the bundled scene, mean of both slots: a guard against damage, well
# below what the models reach. The scene's voices and sounds are in no training set.
MINIMUM_SI_SDRI_DB = {"noise": 5.0, "music": 4.2, "speech": 3.0, "environment": 7.5}
# The scene has no segment for two talkers, but two that talk in turns: slot, start and stop in seconds.
TALKERS_S = [(0, 0.5, 3.8), (0, 6.9, 8.3)], [(0, 4.2, 6.9), (0, 8.5, 10.3)]  # the woman, and the man

# Two more mixtures of "talkers", so that there are three folders: row, slot, clip.
THIRDS = (1, 0, "one/clip.wav"), (1, 1, "other/clip.wav")

SCENE = bundled_scene()
SLOTS = {
    "noise": ("speech", "noise"),
    "music": ("vocals", "accompaniment"),
    "speech": ("talker-1", "talker-2"),
    "environment": ("event-1", "event-2"),
}


def scene_of(domain: str) -> tuple[Segment, np.ndarray]:
    """The bundled scene's segment of this domain and its sources, (2, samples)."""
    segment = next(segment for segment in SCENE.segments if segment.domain == domain)
    return segment, SCENE.sources[:, segment.start : segment.stop]


def sources_of(domain: str) -> np.ndarray:
    """(2, samples) for a model of this domain."""
    if domain not in ("speech", "environment"):
        return scene_of(domain)[1]
    parts = bell_and_knocks() if domain == "environment" else [talker(pieces) for pieces in TALKERS_S]
    parts = [part[: min(map(len, parts))] for part in parts]
    return np.stack([0.05 * part / np.sqrt(np.square(part).mean()) for part in parts]).astype(np.float32)


def talker(pieces: list[tuple[int, float, float]]) -> np.ndarray:
    """(samples,) of the bundled scene."""
    bounds = [(slot, round(start_s * SCENE.rate), round(stop_s * SCENE.rate)) for slot, start_s, stop_s in pieces]
    return np.concatenate([SCENE.sources[slot, start:stop] for slot, start, stop in bounds])


def bell_and_knocks() -> list[np.ndarray]:
    """Two events of (samples,): a bell that is struck four times, and knocks on wood."""
    t, random = np.arange(5 * SCENE.rate) / SCENE.rate, np.random.default_rng(0)
    bell, knocks = np.zeros_like(t), np.zeros_like(t)
    for struck_s in (0.3, 1.5, 2.7, 3.9):
        since_s = np.clip(t - struck_s, 0, None)
        for number, (hz, decay_s) in enumerate(((523, 0.8), (1046, 0.6), (1370, 0.5), (2090, 0.4), (2900, 0.3))):
            bell += np.sin(2 * np.pi * hz * since_s) * np.exp(-since_s / decay_s) / (number + 1)
    for knocked_s in np.arange(0.2, 5, 0.35):
        since_s = np.clip(t - knocked_s, 0, None)
        knocks += (t >= knocked_s) * random.normal(size=t.size) * np.exp(-since_s / 0.02)
    return [bell, knocks]


@pytest.mark.parametrize("precision", ["int8", "fp32"])
@pytest.mark.parametrize("domain", MINIMUM_SI_SDRI_DB)
def test_every_model_separates_the_bundled_scene(domain: str, precision: str) -> None:
    sources = sources_of(domain)
    mixture = sources.sum(axis=0)
    result = streamsep.separate(mixture, SCENE.rate, domain=domain, models={"precision": precision})
    estimates = list(result.sources.values())
    order = best_order(np.stack(estimates), sources, result.manifests[domain].sources)
    gains = [
        si_sdr_improvement_db(estimates[slot], source, mixture) for slot, source in zip(order, sources, strict=True)
    ]
    assert np.mean(gains) >= MINIMUM_SI_SDRI_DB[domain]


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_every_shipped_domain_is_guarded(precision: str) -> None:
    assert set(open_bank(precision=precision).domains) == set(MINIMUM_SI_SDRI_DB)


# -- the measuring ------------------------------------------------------------------------------------------------


def made_up(count: int, domain: str = "noise") -> list[Mixture]:
    """Mixtures of two noises each, of which every third mixture shares a clip."""
    random = np.random.default_rng(1)
    return [
        Mixture(f"m{i}", domain, (f"a{i // 3}", f"b{i}"), random.standard_normal((2, 4000)).astype(np.float32))
        for i in range(count)
    ]


def knowing(
    truth: dict[str, np.ndarray], kept: float, order: list[int], roles: tuple[str, str], mixture: Mixture
) -> Estimates:
    """A system that knows the answer, keeps the share `kept` of the other source, and answers in this order."""
    sources = truth[mixture.name]
    return Estimates((sources + kept * sources[::-1])[order], roles, latency_ms=8.0)


def measured(
    kept: float, order: list[int], roles: tuple[str, str], processes: int = 1, count: int = 4, **changes: bool
) -> list[Score]:
    """What is found for such a system."""
    mixtures = made_up(count)
    system = partial(knowing, {mixture.name: mixture.sources for mixture in mixtures}, kept, order, roles)
    systems = {"knowing": partial(changed, system, changes)}
    return [scores["knowing"] for scores in measure(systems, mixtures, processes=processes)]


def changed(system: System, changes: dict[str, bool], mixture: Mixture) -> Estimates:
    return replace(system(mixture), **changes)


def improvements(*arguments: Any, **changes: Any) -> np.ndarray:
    """(mixtures, 2) in dB."""
    scores = measured(*arguments, **changes)
    return np.array([[slot["si_sdri_db"] for slot in score.figures.values()] for score in scores])


@pytest.mark.parametrize("kept", [1.0, 0.1])
def test_what_is_left_of_the_other_source_is_what_is_measured(kept: float) -> None:
    found = improvements(kept, [0, 1], ("speech", "noise"))
    np.testing.assert_allclose(found, -20 * np.log10(kept), atol=0.5)  # chance makes the noises a little alike


def test_sources_of_one_role_may_come_in_any_order() -> None:
    expected = improvements(0.1, [0, 1], ("talker", "talker"))
    np.testing.assert_array_equal(improvements(0.1, [1, 0], ("talker", "talker")), expected)


def test_sources_of_different_roles_may_not() -> None:
    assert (improvements(0.1, [1, 0], ("speech", "noise")) < -10).all()


def test_unless_nobody_said_which_is_which() -> None:
    expected = improvements(0.1, [0, 1], ("speech", "noise"))
    found = improvements(0.1, [1, 0], ("speech", "noise"), any_order=True)
    np.testing.assert_array_equal(found, expected)


def test_more_processes_find_the_same() -> None:
    roles = ("speech", "noise")
    assert measured(0.3, [0, 1], roles, processes=2) == measured(0.3, [0, 1], roles)


def test_a_system_with_another_number_of_sources_is_refused() -> None:
    def three(mixture: Mixture) -> Estimates:
        return Estimates(np.stack([mixture.sources[0]] * 3), ("a", "b", "c"))

    with pytest.raises(ModelError, match=r"2 sources, mine gives a, b, c"):
        list(measure({"mine": three}, made_up(1)))


def test_the_summary_has_the_names_that_cards_and_reports_use() -> None:
    summary = summarise(measured(1.0, [0, 1], ("speech", "noise"), count=6), "noise.test.int8")
    names = [f"{slot}{figure}" for figure in ("si_sdr_db", "si_sdri_db") for slot in ("", "speech.", "noise.")]
    assert list(summary) == [f"noise.test.int8.{name}" for name in names]
    gained = [figure for name, figure in summary.items() if name.endswith("sdri_db")]
    assert {(figure.mean, figure.low, figure.high, figure.n) for figure in gained} == {(0.0, 0.0, 0.0, 6)}


def test_only_speech_is_graded_and_only_what_all_slots_have_has_a_mean() -> None:
    _, sources = scene_of("noise")
    mixture = Mixture("scene", "noise", ("voice", "site"), sources[:, : 2 * RATE])
    for roles, graded in ((("speech", "noise"), 1), (("talker", "talker"), 2), (("vocals", "accompaniment"), 0)):
        systems = {"itself": partial(untouched, roles)}
        (score,) = (scores["itself"] for scores in measure(systems, [mixture], FIGURES))
        ratios = {"si_sdr_db", "si_sdri_db", "sdr_db", "sdri_db"}
        grades = {"stoi", "estoi", "pesq"}
        found = [set(slot) for slot in score.figures.values()]
        assert found == [ratios | grades] * graded + [ratios] * (2 - graded)
        means = {name for name in summarise([score], "") if name.count(".") == 1}
        assert means == {f".{name}" for name in (ratios | grades if graded == 2 else ratios)}
        assert all(slot["sdri_db"] == slot["si_sdri_db"] == 0 for slot in score.figures.values())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A list of one mixture a domain."""
    with open(tmp_path / "mixtures.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["mixture", "domain", "split", "slot", "path", "start", "samples", "gain"])
        for domain in MINIMUM_SI_SDRI_DB:
            for slot, source in enumerate(sources_of(domain)):
                start = RATE if len(source) >= RATE + LENGTH else 0
                files.write(tmp_path / f"{domain}-{slot}.wav", source[start : start + LENGTH], RATE)
                table.writerow([f"{domain}-0", domain, "test", slot, f"{domain}-{slot}.wav", 0, LENGTH, 1.0])
    return tmp_path


def typed(*arguments: str) -> str:
    """What a command prints."""
    outcome = CliRunner().invoke(app, list(arguments))
    assert outcome.exit_code == 0, outcome.output
    return outcome.output


def test_the_command_measures_every_model_of_the_bank(data: Path) -> None:
    printed = typed("quality", str(data), "--processes", "1", "--json", str(data / "figures.json"))
    figures = json.loads((data / "figures.json").read_text())
    assert set(figures) == {
        f"{domain}.test.int8.{slot}{figure}"
        for domain, slots in SLOTS.items()
        for slot in ("", *(f"{name}." for name in slots))
        for figure in ("si_sdr_db", "si_sdri_db")
    }
    gained = {name: figure for name, figure in figures.items() if name.endswith("si_sdri_db")}
    assert all(figure["n"] == 1 and figure["mean"] > 0 for figure in gained.values())
    assert "8.00" in printed  # ms
    assert not list(data.glob(".*"))
    shorter = typed("quality", str(data), "--domains", "noise", "--processes", "1", "--set", "latency.synthesis_ms=4")
    assert "4.00" in shorter  # ms


@pytest.fixture
def with_centres(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipped noise model alone, with centres to begin with, whatever it has been shipped with."""
    zoo = tmp_path / "zoo"
    zoo.mkdir()
    for path in ZOO.glob("noise-*-int8.onnx"):
        shutil.copy(path, zoo)
    path = zoo / "noise-look-back-int8.onnx"
    model = onnx.load(path)
    said = json.loads({entry.key: entry.value for entry in model.metadata_props}[METADATA_KEY])
    said["centres"] = {"2": [[sign, *[0.0] * (said["embedding_dims"] - 1)] for sign in (1.0, -1.0)]}
    helper.set_model_props(model, {METADATA_KEY: json.dumps(said)})
    onnx.save(model, path)
    monkeypatch.setattr("streamsep.models.bank.ZOO", zoo)


@pytest.mark.usefixtures("with_centres")
def test_the_whole_table_has_every_system_and_figure(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = data / "figures.json"
    monkeypatch.setenv("COLUMNS", "100")
    options = ("--processes", "1", "--systems", "all", "--figures", "all", "--json", str(file))
    printed = typed("quality", str(data), *options)
    figures = json.loads(file.read_text())
    labels = {
        "mixture", "random", "int8", "int8-clusters", "int8-global-centres", "int8-oracle-centres", "ideal-ratio",
        "ideal-binary", "phase-sensitive",
    }  # fmt: skip
    ratios = [f"{slot}{ratio}" for slot in ("", "speech.", "noise.") for ratio in HEADINGS if ratio.endswith("db")]
    grades = ["speech.stoi", "speech.estoi", "speech.pesq"]
    assert set(figures) == {f"noise.test.{label}.{name}" for label in labels for name in (*ratios, *grades)}
    for name, figure in figures.items():
        assert figure["n"] == 1, name
        assert not name.startswith("noise.test.mixture") or "sdri" not in name or figure["mean"] == 0
    for name in grades:
        values = [figures[f"noise.test.{label}.{name}"]["mean"] for label in ("mixture", "int8", "ideal-ratio")]
        assert sorted(values) == values
    assert all(word in printed for word in (*SYSTEMS, *HEADINGS.values()))


@pytest.mark.parametrize("columns", ["100", "80", "60"])
def test_the_table_takes_100_columns_and_says_what_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setattr(quality, "results", Console(width=int(columns), highlight=False, markup=False))
    wide = {
        figure: Interval(-18.254, -20.0, -17.0, 200) if figure.endswith("db") else Interval(0.954, 0.9, 0.99, 200)
        for figure in HEADINGS
    }
    none = Interval(float("nan"), float("nan"), float("nan"), 0)
    slots = {f"{slot}.{figure}": value for slot in ("speech", "accompaniment") for figure, value in wide.items()}
    summaries = dict.fromkeys(SYSTEMS, wide | slots)
    summaries["random"] = summaries["random"] | {"speech.pesq": none, "speech.stoi": Interval(0.2, 0.1, 0.3, 197)}
    show(summaries, "noise: 200 mixtures of test, int8, 8.00 ms late", 200)
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 100
    assert "\N{HORIZONTAL ELLIPSIS}" not in printed
    assert printed.count("-18.25 ±1.50") == 2 * 3 * len(SYSTEMS)
    for name in (*SYSTEMS, "speech", "accompaniment"):
        assert re.search(rf"^ *{name} +-?\d", printed, re.MULTILINE)
    said = " ".join(printed.split())
    assert "Nothing to measure: STOI of speech by random in 3, PESQ of speech by random in 200." in said


@given(st.integers(3, 5), st.lists(st.permutations(range(6)), min_size=4, max_size=8))
def test_mixtures_of_more_sources_have_all_of_the_lists_and_no_two_of_one_talker(
    count: int, orders: list[list[int]]
) -> None:
    random = np.random.default_rng(0)
    listed = [
        Mixture(f"m{row}", "speech", (f"a/{order[0]}/x.wav", f"a/{order[1]}/y{row}.wav"), random.normal(size=(2, 9)))
        for row, order in enumerate(orders)
    ]
    known = {clip: source for mixture in listed for clip, source in zip(mixture.clips, mixture.sources, strict=True)}
    talkers = {clip.split("/")[1] for clip in known}
    if len(talkers) < count:
        with pytest.raises(AudioError, match=rf"m0: found clips of {len(talkers)} folders only, {count}"):
            list(joined(listed, count))
        return
    for mixture, larger in zip(listed, joined(listed, count), strict=True):
        assert larger.clips[:2] == mixture.clips
        np.testing.assert_array_equal(larger.sources[:2], mixture.sources)
        assert len({clip.split("/")[1] for clip in larger.clips}) == len(larger.clips) == len(larger.sources) == count
        assert larger.name == f"{mixture.name}-of-{count}"


def test_three_talkers_are_measured_by_the_clusters_of_the_network_for_two(data: Path) -> None:
    rows = (data / "mixtures.csv").read_text().splitlines()
    speech = [row for row in rows if row.startswith("speech-0")]
    for folder in ("one", "other"):
        (data / folder).mkdir()
        shutil.copy(data / f"environment-{int(folder == 'one')}.wav", data / folder / "clip.wav")
    (data / "two").mkdir()
    shutil.copy(data / "speech-1.wav", data / "two" / "clip.wav")
    more = [f"speech-{row},speech,test,{slot},{clip},0,{LENGTH},1.0" for row, slot, clip in THIRDS]
    speech[1] = speech[1].replace("speech-1.wav", "two/clip.wav")
    (data / "mixtures.csv").write_text("\n".join([rows[0], *speech, *more]) + "\n")
    file = data / "figures.json"
    options = ("--domains", "speech", "--sources", "3", "--systems", "all", "--processes", "1", "--json", str(file))
    printed = typed("quality", str(data), *options)
    assert "speech-3: 2 mixtures of test" in printed
    figures = {name: figure["mean"] for name, figure in json.loads(file.read_text()).items()}
    of_all = {name.split(".")[2]: mean for name, mean in figures.items() if name.count(".") == 3 and "sdri" in name}
    labels = {"int8-clusters", "int8-global-centres", "int8-oracle-centres", "ideal-binary", "ideal-ratio"}
    assert of_all.keys() == labels | {"mixture", "random", "phase-sensitive"}
    assert of_all["mixture"] == 0
    assert of_all["random"] < of_all["int8-oracle-centres"] < of_all["ideal-binary"] < of_all["phase-sensitive"]
    assert {name.split(".")[3] for name in figures if name.count(".") == 4} == {f"talker-{n}" for n in (1, 2, 3)}


def test_the_models_are_those_of_the_settings(data: Path) -> None:
    bank = make_bank(data / "mine")
    options = ["--domains", "noise", "--processes", "1", "--json", str(data / "figures.json")]
    systems = ["--systems", "masks", "--precision", "fp32", "--set", f"models.bank={bank}"]
    typed("quality", str(data), *options, *systems)
    mine = json.loads((data / "figures.json").read_text())
    typed("quality", str(data), *options, *systems[:-2])
    shipped = json.loads((data / "figures.json").read_text())
    assert mine.keys() == shipped.keys()
    assert mine["noise.test.fp32.si_sdr_db"]["mean"] != shipped["noise.test.fp32.si_sdr_db"]["mean"]
    for folder, system in (("mine", "oracle-centres"), ("nowhere", "mixture")):  # no look-back graph; nothing at all
        bank = ["--precision", "fp32", "--set", f"models.bank={data / folder}"]
        outcome = CliRunner().invoke(app, ["quality", str(data), "--domains", "noise", "--systems", system, *bank])
        assert outcome.exit_code == 1
        assert folder in outcome.output


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--sources", "3", "--systems", "masks"), "masks is unknown"),
        (("--sources", "3", "--domains", "noise"), "noise is unknown"),
        (("--sources", "7", "--systems", "clusters"), "centres for [2, 3] sources, got 7"),
        (("--domains", "nosie"), "nosie"),
        (("--split", "tset"), "tset"),
        (("--json", "no/such/file"), "no/such"),
        (("--systems", "masks,msaks"), "msaks"),
        (("--figures", "sdr,loudness"), "loudness"),
    ],
)
def test_what_cannot_be_measured_is_said(data: Path, arguments: tuple[str, str], complaint: str) -> None:
    outcome = CliRunner().invoke(app, ["quality", str(data), *arguments])
    assert outcome.exit_code == 1
    assert complaint in outcome.output


def test_only_figures_that_need_a_package_ask_for_it(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("fast_bss_eval", "pystoi", "pesq"):
        monkeypatch.setitem(sys.modules, package, None)
    options = ["quality", str(data), "--domains", "noise", "--systems", "mixture,ideal-ratio", "--processes", "1"]
    assert CliRunner().invoke(app, options).exit_code == 0
    outcome = CliRunner().invoke(app, [*options, "--figures", "si-sdr,pesq"])
    assert outcome.exit_code == 1
    assert 'pip install "streamsep[evaluation]"' in outcome.output
