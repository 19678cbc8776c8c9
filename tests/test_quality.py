"""The models are as good as they say: the bundled scene guards them, and the measuring itself measures."""

import csv
import json
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

import streamsep
from streamsep.audio import files
from streamsep.cli.main import app
from streamsep.demo.run import Segment, bundled_scene
from streamsep.errors import ModelError
from streamsep.evaluation.lists import LENGTH, RATE, Mixture
from streamsep.evaluation.metrics import si_sdr_improvement_db
from streamsep.evaluation.quality import measure, summarise
from streamsep.models.bank import open_bank
from streamsep.models.manifest import Manifest
from streamsep.realtime.ledger import Ledger

# What every shipped model must gain on its segment of the bundled scene, mean of both slots: a guard against damage,
# well below what the models reach. The scene's voices and sounds are in no training set.
MINIMUM_SI_SDRI_DB = {"noise": 3.3, "music": 4.7}

SCENE = bundled_scene()


def scene_of(domain: str) -> tuple[Segment, np.ndarray]:
    """The bundled scene's segment of this domain and its sources, (2, samples)."""
    segment = next(segment for segment in SCENE.segments if segment.domain == domain)
    return segment, SCENE.sources[:, segment.start : segment.stop]


@pytest.mark.parametrize("precision", ["int8", "fp32"])
@pytest.mark.parametrize("domain", MINIMUM_SI_SDRI_DB)
def test_every_model_separates_the_bundled_scene(domain: str, precision: str) -> None:
    segment, sources = scene_of(domain)
    mixture = sources.sum(axis=0)
    result = streamsep.separate(mixture, SCENE.rate, domain=domain, models={"precision": precision})
    gains = [
        si_sdr_improvement_db(result.sources[name], source, mixture)
        for name, source in zip(segment.sources, sources, strict=True)
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


def separation(names: tuple[str, ...], roles: tuple[str, ...], estimates: np.ndarray) -> SimpleNamespace:
    """What the engine would return."""
    manifest = Manifest(
        format=1, domain="d", version="1", graph="step", precision="fp32", sample_rate=RATE, window=512,
        synthesis_window=128, hop=64, sources=roles, licence="MIT",
    )  # fmt: skip
    latency = Ledger(RATE, {"window": 128})
    return SimpleNamespace(sources=dict(zip(names, estimates, strict=True)), latency=latency, manifest=manifest)


def knowing(
    truth: dict[bytes, np.ndarray],
    kept: float,
    order: list[int],
    roles: tuple[str, str],
    mixture: np.ndarray,
    domain: str,
) -> SimpleNamespace:
    """A separator that knows the answer, keeps the share `kept` of the other source, and answers in this order."""
    names = roles if roles[0] != roles[1] else (f"{roles[0]}-1", f"{roles[1]}-2")
    sources = truth[mixture.tobytes()]
    return separation(names, roles, (sources + kept * sources[::-1])[order])


def improvements(kept: float, order: list[int], roles: tuple[str, str], processes: int = 1) -> np.ndarray:
    """(mixtures, 2) in dB."""
    mixtures = made_up(4)
    truth = {mixture.sources.sum(axis=0).tobytes(): mixture.sources for mixture in mixtures}
    scores = measure(partial(knowing, truth, kept, order, roles), mixtures, processes)
    return np.array([list(score.improvements_db.values()) for score in scores])


@pytest.mark.parametrize("kept", [1.0, 0.1])
def test_what_is_left_of_the_other_source_is_what_is_measured(kept: float) -> None:
    found = improvements(kept, [0, 1], ("speech", "noise"))
    np.testing.assert_allclose(found, -20 * np.log10(kept), atol=0.5)  # chance makes the noises a little alike


def test_sources_of_one_role_may_come_in_any_order() -> None:
    expected = improvements(0.1, [0, 1], ("talker", "talker"))
    np.testing.assert_array_equal(improvements(0.1, [1, 0], ("talker", "talker")), expected)


def test_sources_of_different_roles_may_not() -> None:
    assert (improvements(0.1, [1, 0], ("speech", "noise")) < -10).all()


def test_more_processes_find_the_same() -> None:
    roles = ("speech", "noise")
    np.testing.assert_array_equal(improvements(0.3, [0, 1], roles, processes=2), improvements(0.3, [0, 1], roles))


def test_a_model_with_another_number_of_sources_is_refused() -> None:
    def three(mixture: np.ndarray, domain: str) -> SimpleNamespace:
        return separation(("a", "b", "c"), ("a", "b", "c"), np.stack([mixture] * 3))

    with pytest.raises(ModelError, match="2 sources"):
        list(measure(three, made_up(1)))


def test_the_summary_has_the_names_that_cards_and_reports_use() -> None:
    def untouched(mixture: np.ndarray, domain: str) -> SimpleNamespace:
        return separation(("speech", "noise"), ("speech", "noise"), np.stack([mixture, mixture]))

    summary = summarise(list(measure(untouched, made_up(6))), "noise.test.int8")
    assert list(summary) == [f"noise.test.int8.{slot}si_sdri_db" for slot in ("", "speech.", "noise.")]
    assert {(figure.mean, figure.low, figure.high, figure.n) for figure in summary.values()} == {(0.0, 0.0, 0.0, 6)}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A list of one mixture a domain, cut out of the bundled scene."""
    with open(tmp_path / "mixtures.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["mixture", "domain", "split", "slot", "path", "start", "samples", "gain"])
        for domain in MINIMUM_SI_SDRI_DB:
            for slot, source in enumerate(scene_of(domain)[1]):
                files.write(tmp_path / f"{domain}-{slot}.wav", source[RATE : RATE + LENGTH], RATE)
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
        f"{domain}.test.int8.{slot}si_sdri_db"
        for domain, slots in (("noise", ("speech", "noise")), ("music", ("vocals", "accompaniment")))
        for slot in ("", *(f"{name}." for name in slots))
    }
    assert all(figure["n"] == 1 and figure["mean"] > 0 for figure in figures.values())
    assert "8.00" in printed  # ms


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [(("--domains", "nosie"), "nosie"), (("--split", "tset"), "tset"), (("--json", "no/such/file"), "no/such")],
)
def test_what_cannot_be_measured_is_said(data: Path, arguments: tuple[str, str], complaint: str) -> None:
    outcome = CliRunner().invoke(app, ["quality", str(data), *arguments])
    assert outcome.exit_code == 1
    assert complaint in outcome.output
