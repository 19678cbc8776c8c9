"""What a model is picked by, and what that is worth: every variant on one footing, and a study that says who wins."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from graphs import make_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import seeds
from watched import DOMAINS

from streamsep.arrays import Array
from streamsep.audio import files
from streamsep.evaluation.lists import LENGTH, RATE
from streamsep.evaluation.references import analyse
from streamsep.models.loader import Batch
from streamsep.monitor.look_back import Watch
from streamsep.monitor.placed import measure_look_back
from streamsep.realtime.stft import FrontEnd
from streamsep.report import autoencoders
from streamsep.report.ablation_scores import Mixtures, calibrated, learned, mixtures_of, worth
from streamsep.report.ablations import LOOKS, Ablations, Look, half_heard, measured, spread
from streamsep.report.autoencoders import loud_frames, trained
from streamsep.report.clips import with_groups
from streamsep.report.embeddings import Embeddings, flattened
from streamsep.report.features import of_the_estimates, of_the_mixture
from streamsep.report.runner import plain
from streamsep.report.study import Lists, Row
from streamsep.report.views import View

FRONT = FrontEnd(RATE, 512, 128, 64)
HUM, HISS = (100, 900), (3000, 7900)  # Hz: the mixtures of a domain lie all within
BANDS_HZ = dict(zip(DOMAINS, (HUM, HISS), strict=True))
EVERY = 10**6  # points
MIXTURES = 2  # of a domain and split


def noise(seed: int, low_hz: float, high_hz: float, samples: int = LENGTH) -> Array:
    """Between these frequencies, at a level that comes and goes."""
    random = np.random.default_rng(seed)
    spectrum, hz = np.fft.rfft(random.normal(size=samples)), np.fft.rfftfreq(samples, 1 / RATE)
    sound = np.fft.irfft(np.where((hz > low_hz) & (hz < high_hz), spectrum, 0), samples)
    swings = np.repeat(random.uniform(0.1, 1, samples // 800 + 1), 800)[:samples]
    return 0.1 * sound * swings / np.abs(sound).max()


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Lists:
    """Two domains that a child could tell apart, and a small bank for them."""
    folder = tmp_path_factory.mktemp("lists")
    rows = []
    for at, domain in enumerate(DOMAINS):
        low_hz, high_hz = BANDS_HZ[domain]
        middle_hz = (low_hz + high_hz) / 2
        for split in ("val", "test"):
            for number in range(MIXTURES):
                for slot, band in enumerate(((low_hz, middle_hz), (middle_hz, high_hz))):
                    path = f"{domain}-{split}-{number}-{slot}.wav"
                    files.write(
                        folder / path, noise(1000 * at + 10 * number + slot + (split == "val") * 100, *band), RATE
                    )
                    rows.append([f"{domain}-{split}-{number}", domain, split, slot, path, 0, LENGTH, 1.0])
    with open(folder / "mixtures.csv", "w", newline="") as file:
        csv.writer(file).writerows(
            [["mixture", "domain", "split", "slot", "path", "start", "samples", "gain"], *rows]
        )
    bank = folder / "bank"
    bank.mkdir()
    for domain in DOMAINS:
        for kind in ("step", "look-back"):
            make_graph(bank / f"{domain}-{kind}-fp32.onnx", kind, domain=domain)
    return Lists(folder, str(bank))


# ------------------------------------------------------------------------------------------------- what is looked at


@settings(max_examples=5, deadline=None)
@given(seeds, st.sampled_from([0.5, 1.0, 2.0]), st.floats(0.001, 0.01))
def test_a_look_back_of_the_study_is_what_the_monitor_sees_then(
    lists: Lists, seed: int, back_s: float, share: float
) -> None:
    graphs = {domain: Batch(Path(lists.bank) / f"{domain}-look-back-fp32.onnx") for domain in DOMAINS}
    sound = noise(seed, 50, 7900, 2 * RATE)
    watch = Watch(graphs, back_s, share)
    watch.hear(sound.astype(np.float32).reshape(-1, FRONT.hop))
    spectrum = analyse(FRONT, sound)
    for domain, back in watch.look_backs().items():
        look = Look(2.0 - back.frames * FRONT.hop / RATE, 2.0, share, EVERY)  # the monitor forgets piece by piece
        embeddings = graphs[domain].run(spectrum, graphs[domain].start())[0]
        seen = View(np.zeros((1, 2, FRONT.bins), np.float32), 0.0, embeddings)
        found = measured(spectrum, seen, look, FRONT, 2, back.texture)
        expected = measure_look_back(back, 2, EVERY, chosen=look.chosen)
        assert found is not None
        assert expected is not None
        assert found.mean == pytest.approx(
            expected.mean, abs=0.1
        )  # the monitor chooses the louder bins piece by piece
        names = expected.by_name.keys() - {f"mean_{dim}" for dim in range(2)}
        assert {name: found.by_name[name] for name in names} == pytest.approx(
            {name: expected.by_name[name] for name in names}, abs=2e-3
        )


def test_of_silence_nothing_is_said() -> None:
    seen = View(np.zeros((1, 2, FRONT.bins), np.float32), 0.0, np.ones((1251, FRONT.bins, 2), np.float32))
    for look in LOOKS.values():
        assert measured(np.zeros((1251, FRONT.bins), complex), seen, look, FRONT, 2, {}) is None


@given(st.integers(1, 300), st.integers(1, 100))
def test_a_list_is_sampled_evenly(count: int, most: int) -> None:
    chosen = list(spread(count, most))
    assert len(chosen) == min(count, most)
    assert chosen[0] == 0
    assert chosen[-1] < count
    steps = np.diff(chosen)
    assert not len(steps) or (steps.min() >= 1 and steps.max() - steps.min() <= 1)


@given(st.integers(1, 300), st.integers(1, 100))
def test_half_of_a_validation_sample_is_left_to_fit_what_the_autoencoders_promise(count: int, most: int) -> None:
    chosen, evenly = list(half_heard(count, most)), list(spread(count, most))
    assert len(set(chosen)) == len(evenly)
    assert all(0 <= number < count for number in chosen)
    assert np.abs(np.subtract(chosen, evenly)).max() <= 1
    heard = sum(number % autoencoders.EVERY == 0 for number in chosen)
    assert heard == (len(chosen) + 1) // 2


# --------------------------------------------------------------------------------------------------------- features


@settings(max_examples=15, deadline=None)
@given(seeds, st.floats(1e-3, 1e3))
def test_loudness_and_the_order_of_slots_are_no_features(seed: int, gain: float) -> None:
    random = np.random.default_rng(seed)
    spectrum = analyse(FRONT, noise(seed, 50, 7900, 4000))
    masks = random.dirichlet(np.ones(2), (len(spectrum), FRONT.bins)).swapaxes(1, 2).astype(np.float32)
    masks[:, 0] *= 0.5
    masks[:, 1] = 1 - masks[:, 0]
    once, louder = of_the_mixture(FRONT, spectrum), of_the_mixture(FRONT, gain * spectrum)
    assert louder == pytest.approx(once, abs=1e-6)
    estimates = of_the_estimates(FRONT, spectrum, masks)
    assert of_the_estimates(FRONT, gain * spectrum, masks[:, ::-1]) == pytest.approx(estimates, abs=1e-5)
    assert np.isfinite([*once.values(), *estimates.values()]).all()


def test_silence_has_features() -> None:
    silence, masks = np.zeros((40, FRONT.bins), complex), np.full((40, 2, FRONT.bins), 0.5, np.float32)
    found = of_the_mixture(FRONT, silence) | of_the_estimates(FRONT, silence, masks)
    assert np.isfinite(list(found.values())).all()
    assert not len(loud_frames(FRONT, silence))


def test_an_autoencoder_knows_its_own_domain(lists: Lists) -> None:
    networks = trained(lists.folder, FRONT, DOMAINS)
    for domain in DOMAINS:
        sources = analyse(FRONT, lists.mixture(domain, 0).sources)
        assert min(DOMAINS, key=lambda each: networks.mixture_error(each, sources.sum(axis=0))) == domain
        assert min(DOMAINS, key=lambda each: networks.estimates_error(each, sources)) == domain
    assert np.isnan(networks.mixture_error(domain, 0 * sources[0]))


# ----------------------------------------------------------------------------------------------- what picks are worth


def made_up(seed: int, split: str, mixtures: int = 24) -> Mixtures:
    """Of three models: what each gains, and a measure that is another line of it for each, and falls in one."""
    random = np.random.default_rng(seed)
    models = ("a", "b", "c")
    rows: list[Row] = []
    for number in range(mixtures):
        for model, (slope, offset) in zip(models, ((1.0, 0.0), (0.1, 5.0), (-3.0, -40.0)), strict=True):
            gain_db = random.normal(3, 4)
            rows.append(
                {
                    "split": split,
                    "mixture": f"{split}-{number}",
                    "domain": models[number % 3],
                    "groups": [f"{number}", f"{number // 2}"],
                    "model": model,
                    "si_sdri_db": gain_db,
                    "measure": slope * gain_db + offset,
                    "features": {"one": slope * gain_db, "other": random.normal()},
                }
            )
    return mixtures_of(rows, split)


@settings(max_examples=10, deadline=None)
@given(seeds)
def test_the_oracle_wins_all_and_random_nothing(seed: int) -> None:
    test = made_up(seed, "test")
    gains_db = test.si_sdri_db
    best, chance = (
        worth(test, [gains_db], gains_db.max(axis=1)),
        worth(test, [np.full(gains_db.shape, np.nan)] * 2, 0),
    )
    assert (best.won.mean, best.right, best.more_db.mean) == pytest.approx((1, 1, 0))
    assert set(best.won_by_domain) == set(test.models)
    assert list(best.r.values()) == pytest.approx([1, 1, 1])
    assert (chance.won.mean, chance.picked_db.mean) == pytest.approx((0, gains_db.mean()))
    either = worth(test, [gains_db, -gains_db], gains_db.max(axis=1))
    assert either.right == pytest.approx(0.5)
    assert either.picked_db.mean == pytest.approx((gains_db.max(axis=1) + gains_db.min(axis=1)).mean() / 2)


@settings(max_examples=10, deadline=None)
@given(seeds)
def test_lines_make_scores_of_different_models_compare(seed: int) -> None:
    test, val = made_up(seed, "test"), made_up(seed + 1, "val")
    gains_db = test.si_sdri_db
    lines = calibrated(val, lambda row: row["measure"], test)
    np.testing.assert_allclose(lines, gains_db, atol=1e-9)
    raw = worth(test, [test.grid(lambda row: row["measure"])], gains_db.max(axis=1))
    assert raw.won.mean < 1 - 1e-6
    assert calibrated(val, lambda row: 7.0, test)[0] == pytest.approx(val.si_sdri_db.mean(axis=0))
    assert np.isnan(calibrated(val, lambda row: None, test)).all()


def test_trees_learn_what_tells_and_learn_it_again() -> None:
    test, val = made_up(1, "test", 60), made_up(2, "val", 120)
    found = learned(val, test, lambda row: row["features"])
    np.testing.assert_array_equal(found, learned(val, test, lambda row: row["features"]))
    assert worth(test, [found], test.si_sdri_db.max(axis=1)).won.mean > 0.9


@settings(max_examples=20, deadline=None)
@given(seeds, st.integers(1, 2), st.integers(1, 30))
def test_what_has_two_dimensions_is_only_turned(seed: int, dims: int, count: int) -> None:
    points = np.random.default_rng(seed).normal(size=(count, dims))
    flat, kept = flattened(points)
    assert flat.shape == (count, 2)
    assert kept == pytest.approx(1)
    apart, drawn = (np.linalg.norm(each[:, None] - each, axis=-1) for each in (points, flat))
    np.testing.assert_allclose(drawn, apart, atol=1e-9)


# -------------------------------------------------------------------------------------------------------- the studies


def test_the_studies_say_who_wins_and_say_it_again(lists: Lists) -> None:
    limited = Lists(lists.folder, lists.bank, 1)
    ablations, embeddings = Ablations(), Embeddings()
    jobs = ablations.jobs(limited)
    assert set(jobs) == {(split, domain, 0) for split in ("val", "test") for domain in DOMAINS}
    assert set(jobs) < set(ablations.jobs(lists))
    rows = {
        study: as_kept([row for job in study.jobs(limited) for row in study.run(limited, job)])
        for study in (ablations, embeddings)
    }
    trained.cache_clear()
    assert as_kept(ablations.run(lists, jobs[-1])) == rows[ablations][-len(DOMAINS) :]
    rows[ablations] = with_groups(lists.folder, rows[ablations])
    section = ablations.section(rows[ablations], {})
    assert json.dumps(plain(section.numbers), allow_nan=False)
    assert section.numbers["mixtures"] == {"test": 2, "val": 2}
    measures, bins, looks, ways = (section.tables[at] for at in (0, 2, 3, 4))
    assert [len(table.rows) for table in (measures, bins, looks)] == [8, 6, 6]
    assert all(len(row) == len(table.columns) for table in section.tables for row in table.rows)
    assert ways.rows[0][0] == "oracle"
    assert sum("picks best" in paragraph for paragraph in section.text) == 3
    silent = [row | {"si_sdri_db": None} for row in rows[ablations]]
    assert "no mixture" in ablations.section(silent, {}).text[0]
    drawn = embeddings.section(rows[embeddings], {})
    assert [picture.svg[:4] for picture in (*section.pictures, *drawn.pictures)] == ["<svg"] * 3
    assert len(drawn.numbers) == len(DOMAINS) ** 2


def as_kept(rows: list[Row]) -> list[Row]:
    """As they come back from a file."""
    return json.loads(json.dumps(plain(rows)))
