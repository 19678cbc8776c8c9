"""The figures mean what they say: known errors have known decibels, and intervals hold what they promise."""

import subprocess
import sys
from collections.abc import Callable
from functools import partial

import fast_bss_eval
import numpy as np
import pytest
import torch
import torchmetrics.functional.audio as torchmetrics
from hypothesis import given, settings
from hypothesis import strategies as st

from streamsep.demo.run import bundled_scene
from streamsep.errors import AudioError, ConfigError
from streamsep.evaluation.intervals import Interval, clustered_mean, clustered_share
from streamsep.evaluation.metrics import (
    FILTER_TAPS,
    LIMIT_DB,
    PACKAGES,
    PESQ_RATE,
    best_order,
    pesq,
    require,
    sd_sdr_db,
    sdr_db,
    sdrs_db,
    si_sdr_db,
    si_sdr_improvement_db,
    stoi,
)

SEEDS = st.integers(0, 2**32 - 1)
Metric = Callable[[np.ndarray, np.ndarray], float]
GRADES: dict[str, Metric] = {
    "stoi": partial(stoi, rate=PESQ_RATE), "estoi": partial(stoi, rate=PESQ_RATE, extended=True), "pesq": pesq
}  # fmt: skip
METRICS: dict[str, Metric] = {"si-sdr": si_sdr_db, "sdr": sdr_db} | GRADES
PERFECT = {"si-sdr": LIMIT_DB, "sdr": LIMIT_DB, "stoi": 1, "estoi": 1, "pesq": 4.64}


def noises(seed: int, count: int, samples: int = 2000) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, samples))


def without(samples: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The part of samples that is orthogonal to other."""
    return samples - other * (samples @ other) / (other @ other)


@given(SEEDS, st.floats(-60, 60))
def test_noise_of_a_known_level_gives_its_level_in_db(seed: int, level_db: float) -> None:
    source, noise = noises(seed, 2)
    noise = without(noise, source)
    noise *= 10 ** (-level_db / 20) * np.linalg.norm(source) / np.linalg.norm(noise)
    assert si_sdr_db(source + noise, source) == pytest.approx(level_db, abs=1e-6)


@given(SEEDS, st.floats(1e-300, 1e300), st.floats(1e-300, 1e300), st.sampled_from([-1, 1]))
def test_loudness_and_sign_do_not_matter(seed: int, loudness: float, other: float, sign: int) -> None:
    source, noise = noises(seed, 2)
    plain = si_sdr_db(source + noise, source)
    assert si_sdr_db((source + noise) * loudness, source * (sign * other)) == pytest.approx(plain, abs=1e-9)


@given(SEEDS, st.floats(-40, 40))
def test_it_agrees_with_fast_bss_eval(seed: int, level_db: float) -> None:
    source, noise = noises(seed, 2)
    estimate = source + noise * 10 ** (-level_db / 20)
    theirs = fast_bss_eval.si_sdr(source[None], estimate[None], zero_mean=False)
    assert si_sdr_db(estimate, source) == pytest.approx(float(theirs[0]), abs=1e-6)


@given(SEEDS)
def test_a_perfect_estimate_reaches_the_limit_and_an_empty_one_the_other_end(seed: int) -> None:
    source, noise = noises(seed, 2)
    assert si_sdr_db(-3 * source, source) == LIMIT_DB
    assert si_sdr_db(np.zeros_like(source), source) == -LIMIT_DB
    assert si_sdr_db(without(noise, source), source) == -LIMIT_DB


def test_a_silent_source_has_no_figure() -> None:
    silence, noise = np.zeros(100), noises(0, 1, 100)[0]
    assert np.isnan(si_sdr_db(noise, silence))
    assert np.isnan(si_sdr_db(silence, silence))
    assert np.isnan(si_sdr_improvement_db(noise, silence, noise))


def test_a_mixture_of_one_source_alone_cannot_be_improved() -> None:
    source, noise = noises(0, 2)
    assert np.isnan(si_sdr_improvement_db(source + noise, source, source))


@given(SEEDS)
def test_the_mixture_improves_nothing_and_less_noise_improves_by_as_much(seed: int) -> None:
    source, noise = noises(seed, 2)
    noise = without(noise, source)
    mixture = source + noise
    assert si_sdr_improvement_db(mixture, source, mixture) == 0
    assert si_sdr_improvement_db(source + 0.1 * noise, source, mixture) == pytest.approx(20, abs=1e-6)


@pytest.mark.parametrize(
    ("estimate", "source"), [([1.0, np.nan], [1.0, 2.0]), ([1.0], [1.0, 2.0]), ([[1.0]], [[1.0]]), ([], [])]
)
def test_what_is_not_two_equally_long_finite_sounds_is_refused(estimate: list[float], source: list[float]) -> None:
    with pytest.raises(AudioError):
        si_sdr_db(estimate, source)


@given(SEEDS, st.permutations(range(3)))
def test_estimates_of_one_role_are_found_in_any_order(seed: int, order: list[int]) -> None:
    sources = noises(seed, 3)
    estimates = (sources + 0.1 * noises(seed + 1, 3))[order]
    assert best_order(estimates, sources, ("talker",) * 3) == tuple(order.index(slot) for slot in range(3))


def test_estimates_of_different_roles_never_change_places() -> None:
    sources = noises(0, 3)
    assert best_order(sources[[1, 0, 2]], sources, ("speech", "noise", "noise")) == (0, 1, 2)
    assert best_order(sources[[2, 1, 0]], sources, ("talker", "noise", "talker")) == (2, 1, 0)


# -- what libraries compute -----------------------------------------------------------------------------------------


def filtered_away_db(estimate: np.ndarray, source: np.ndarray) -> float:
    """SDR, slowly: what of the estimate is a sum of the source's delayed copies, against what is left."""
    copies = np.stack([np.pad(source, (delay, FILTER_TAPS - 1 - delay)) for delay in range(FILTER_TAPS)], axis=1)
    heard = np.pad(estimate, (0, FILTER_TAPS - 1))
    found = copies @ np.linalg.lstsq(copies, heard)[0]
    return 10 * np.log10(found @ found / ((heard - found) @ (heard - found)))


@settings(max_examples=5, deadline=None)
@given(SEEDS, st.floats(-20, 40), st.lists(st.floats(-1, 1), min_size=1, max_size=FILTER_TAPS))
def test_sdr_is_what_no_filter_on_the_source_can_explain(seed: int, level_db: float, taps: list[float]) -> None:
    source, noise = noises(seed, 2, 800)
    estimate = np.convolve(source, [*taps, 1.0])[:800] + noise * 10 ** (-level_db / 20)
    assert sdr_db(estimate, source) == pytest.approx(filtered_away_db(estimate, source), abs=1e-6)


@settings(max_examples=10, deadline=None)
@given(SEEDS, st.floats(-20, 40))
def test_sdr_forgives_more_than_si_sdr(seed: int, level_db: float) -> None:
    source, noise = noises(seed, 2)
    estimate = source + noise * 10 ** (-level_db / 20)
    assert sdr_db(estimate, source) >= si_sdr_db(estimate, source)


def test_sdr_forgives_a_filter_wholly() -> None:
    source = np.pad(noises(0, 1)[0], (0, 500))
    echo = source + 0.9 * np.roll(source, 400)
    assert si_sdr_db(echo, source) < 2
    assert sdr_db(echo, source) > 80


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    """Three seconds of the bundled scene's speech, at 16 kHz."""
    scene = bundled_scene()
    assert scene.rate == PESQ_RATE
    return scene.sources[0, PESQ_RATE : 4 * PESQ_RATE].astype(np.float64)


@pytest.mark.parametrize("name", METRICS)
def test_the_source_itself_is_perfect_and_noise_makes_it_worse_and_worse(name: str, voice: np.ndarray) -> None:
    metric = METRICS[name]
    noise = noises(0, 1, len(voice))[0] * voice.std()
    found = [metric(voice + noise * level, voice) for level in (0.0, 0.1, 0.3, 1.0, 3.0)]
    assert found[0] == pytest.approx(PERFECT[name], abs=0.01)
    assert sorted(found, reverse=True) == found
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("name", METRICS)
def test_loudness_changes_no_figure(name: str, voice: np.ndarray) -> None:
    heard = voice + noises(0, 1, len(voice))[0] * 0.3 * voice.std()
    assert METRICS[name](heard * 1e-6, voice) == pytest.approx(METRICS[name](heard, voice), abs=1e-4)
    assert METRICS[name](heard, voice * 1e6) == pytest.approx(METRICS[name](heard, voice), abs=1e-4)


@pytest.mark.parametrize("name", METRICS)
def test_silence_has_no_figure_as_a_source_and_the_worst_as_an_estimate(name: str, voice: np.ndarray) -> None:
    silence = np.zeros_like(voice)
    assert np.isnan(METRICS[name](voice, silence))
    worst = METRICS[name](silence, voice)
    assert np.isnan(worst) if name == "pesq" else worst == pytest.approx(-LIMIT_DB if "sdr" in name else 0, abs=0.01)


@pytest.mark.parametrize("name", GRADES)
def test_less_than_a_syllable_cannot_be_graded(name: str, voice: np.ndarray) -> None:
    syllable = voice[PESQ_RATE : PESQ_RATE + 3000]
    assert np.isnan(GRADES[name](syllable, syllable))


@pytest.mark.parametrize("name", ["stoi", "estoi"])
def test_a_syllable_in_silence_cannot_be_understood_or_not(name: str, voice: np.ndarray) -> None:
    alone = np.zeros_like(voice)
    alone[PESQ_RATE : PESQ_RATE + 3000] = voice[PESQ_RATE : PESQ_RATE + 3000]
    assert np.isnan(GRADES[name](voice, alone))


def test_where_pesq_hears_no_utterance_it_has_no_figure() -> None:
    early, late = np.zeros((2, 2 * PESQ_RATE))
    early[1000:1500], late[20_000:20_500] = noises(0, 2, 500)
    assert np.isnan(pesq(late, early))


@pytest.mark.parametrize("name", METRICS)
def test_figures_are_the_same_every_time_and_draw_no_random_numbers(name: str, voice: np.ndarray) -> None:
    heard = np.where(np.arange(len(voice)) < PESQ_RATE, 0.0, voice)  # ESTOI divides by what is left of silence
    np.random.seed(1)  # noqa: NPY002  a library draws from this one
    first = METRICS[name](heard, voice)
    drawn = np.random.standard_normal()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    assert np.random.standard_normal() == drawn  # noqa: NPY002
    assert METRICS[name](heard, voice) == first


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_that_is_missing_is_named_with_its_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, PACKAGES[name], None)
    sounds = noises(0, 2)
    for call in (lambda: require(["si-sdr", name]), lambda: METRICS[name](*sounds)):
        with pytest.raises(ConfigError, match=rf'{PACKAGES[name]}.*pip install "streamsep\[evaluation\]"'):
            call()
    require(["si-sdr"])
    assert np.isfinite(si_sdr_db(*sounds))


# -- intervals ------------------------------------------------------------------------------------------------------


def test_an_interval_is_the_same_every_time_and_holds_its_mean() -> None:
    values = noises(0, 1, 50)[0]
    clips = [(f"voice-{i % 7}", f"noise-{i % 11}") for i in range(50)]
    interval = clustered_mean(values, clips)
    assert interval == clustered_mean(values, clips)
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low < interval.mean < interval.high
    assert interval.n == 50


def test_values_that_repeat_within_clips_are_not_more_evidence() -> None:
    values = noises(0, 1, 20)[0]
    once = clustered_mean(values, [(f"a{i}",) for i in range(20)])
    tenfold = clustered_mean(np.repeat(values, 10), [(f"a{i}",) for i in range(20) for _ in range(10)])
    assert (tenfold.low, tenfold.high) == pytest.approx((once.low, once.high))


def test_a_single_talker_says_nothing_of_others() -> None:
    values = noises(0, 1, 20)[0]
    for clips in ([("talker",)] * 20, [("song.vocals", "song.accompaniment")] * 20):
        interval = clustered_mean(values, clips)
        assert (interval.mean, interval.n) == (pytest.approx(values.mean()), 20)
        assert np.isnan([interval.low, interval.high]).all()
        share = clustered_share(values, np.ones(20), clips)
        assert share.mean == pytest.approx(values.mean())
        assert np.isnan([share.low, share.high]).all()


def test_a_second_slot_that_groups_alike_changes_nothing() -> None:
    values = noises(0, 1, 30)[0]
    voices = [(f"song-{i % 9}.vocals",) for i in range(30)]
    both = [(f"song-{i % 9}.vocals", f"song-{i % 9}.accompaniment") for i in range(30)]
    assert clustered_mean(values, both) == clustered_mean(values, voices)


def test_what_is_in_both_slots_counts_once() -> None:
    values = noises(0, 1, 30)[0]
    songs = [(f"song-{i % 9}",) for i in range(30)]
    assert clustered_mean(values, [song * 2 for song in songs]) == clustered_mean(values, songs)


@settings(max_examples=20)
@given(SEEDS, st.integers(1, 60), st.integers(1, 20))
def test_neither_names_nor_the_order_of_slots_matter(seed: int, count: int, talkers: int) -> None:
    random = np.random.default_rng(seed)
    values = random.standard_normal(count)
    pairs = random.integers(0, talkers, (count, 2)).tolist()
    found = clustered_mean(values, pairs)
    assert found == clustered_mean(values, [[f"talker-{talker}" for talker in pair] for pair in pairs])
    turned = clustered_mean(values, [pair[::-1] for pair in pairs])
    assert (turned.mean, turned.n) == (found.mean, found.n)


def test_about_95_of_100_intervals_hold_the_truth_where_every_clip_is_in_both_slots() -> None:
    clips = [(f"c{i}", f"c{(i + 1) % 60}") for i in range(60)]  # both slots group alike, each clip is in two mixtures
    held = 0
    for trial in range(100):
        of_clip = np.random.default_rng(trial).standard_normal(60)
        interval = clustered_mean(of_clip + np.roll(of_clip, -1), clips)
        held += interval.low <= 0 <= interval.high
    assert held >= 88


@pytest.mark.parametrize("spread", [(1.0, 3.0, 1.5), (2.0, 2.0, 2.0), (0.0, 0.0, 1.0)])
def test_about_95_of_100_intervals_hold_the_truth(spread: tuple[float, float, float]) -> None:
    held = 0
    for trial in range(100):
        random = np.random.default_rng(trial)
        first, second = random.integers(0, 40, (2, 150))
        of_first, of_second, alone = random.standard_normal((3, 150)) * np.array(spread)[:, None]
        values = of_first[first] + of_second[second] + alone
        interval = clustered_mean(values, list(zip(first, second + 40, strict=True)))
        held += interval.low <= 0 <= interval.high
    assert held >= 88  # a true 95 % would hold fewer once in 600 times


def test_values_that_are_nan_are_left_out() -> None:
    clips = [("a",), ("b",), ("c",)]
    assert clustered_mean([1.0, float("nan"), 1.0], clips) == Interval(1.0, 1.0, 1.0, 2)
    nothing = clustered_mean([float("nan")] * 3, clips)
    assert nothing.n == 0
    assert np.isnan([nothing.mean, nothing.low, nothing.high]).all()


@settings(max_examples=20)
@given(SEEDS, st.floats(-20, 40), st.floats(0.1, 3))
def test_all_three_ratios_agree_with_a_second_library(seed: int, level_db: float, loudness: float) -> None:
    source, noise = noises(seed, 2, 4000)
    estimate = loudness * (source + noise * 10 ** (-level_db / 20))
    theirs = [torch.from_numpy(sound) for sound in (estimate, source)]
    assert si_sdr_db(estimate, source) == pytest.approx(
        float(torchmetrics.scale_invariant_signal_distortion_ratio(*theirs)), abs=1e-6
    )
    assert sdr_db(estimate, source) == pytest.approx(float(torchmetrics.signal_distortion_ratio(*theirs)), abs=1e-4)
    share_db = 20 * np.log10(
        abs(estimate @ source / (source @ source))
    )  # Le Roux et al. 2019: SD-SDR is SNR and this
    snr_db = float(torchmetrics.signal_noise_ratio(*theirs))
    assert sd_sdr_db(estimate, source) == pytest.approx(snr_db + share_db, abs=1e-6)


@given(SEEDS, st.floats(-30, 30), st.floats(1e-3, 1e3))
def test_the_scale_dependent_ratio_minds_the_loudness_and_is_never_more(
    seed: int, level_db: float, scale: float
) -> None:
    source, noise = noises(seed, 2)
    noise = without(noise, source) * 10 ** (-level_db / 20)
    plain = sd_sdr_db(source + noise, source)
    assert plain == pytest.approx(si_sdr_db(source + noise, source), abs=1e-6)  # as loud as it should be
    assert sd_sdr_db(scale * (source + noise), source) <= plain + 1e-6
    assert sd_sdr_db(scale * (source + noise), scale * source) == pytest.approx(plain, abs=1e-6)


def test_the_scale_dependent_ratio_of_extremes() -> None:
    source, silence = noises(0, 1)[0], np.zeros(2000)
    assert sd_sdr_db(source, source) == LIMIT_DB
    assert sd_sdr_db(silence, source) == -LIMIT_DB
    assert sd_sdr_db(source / 2, source) == pytest.approx(0)
    assert np.isnan(sd_sdr_db(source, silence))
    with pytest.raises(AudioError):
        sd_sdr_db(source[:-1], source)


def test_measuring_does_not_import_torch() -> None:
    code = (
        "import sys; from streamsep.evaluation.metrics import sdr_db; sdr_db([1.0, 2.0] * 600, [1.0, 1.0] * 600); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("figure", PACKAGES)
def test_no_package_is_imported_with_torch(figure: str) -> None:
    """Nor does it break what takes torch where it finds it, in a program that has imported nothing else."""
    code = f"import sys; from streamsep.evaluation.metrics import require; require([{figure!r}])"
    subprocess.run([sys.executable, "-c", f"{code}; assert 'torch' not in sys.modules"], check=True)


def test_a_table_of_ratios_holds_what_they_are_one_by_one() -> None:
    sources, estimates = noises(0, 3), noises(1, 4)
    sources[1] = 0
    table = sdrs_db(list(estimates), list(sources))
    assert table.shape == (3, 4)
    for row, source in zip(table, sources, strict=True):
        ones = [sdr_db(estimate, source) for estimate in estimates]
        assert row == pytest.approx(ones, abs=1e-9, nan_ok=True)


@given(SEEDS, st.integers(1, 30), st.floats(-2, 2))
def test_a_share_of_sums_is_sure_where_every_part_is_the_same_share(seed: int, count: int, share: float) -> None:
    random = np.random.default_rng(seed)
    wholes = random.uniform(0.1, 5, count + 2)
    clips = [[str(each)] for each in (0, 1, *random.integers(0, 5, count))]
    found = clustered_share((share * wholes).tolist(), wholes.tolist(), clips)
    assert (found.mean, found.low, found.high, found.n) == pytest.approx((share, share, share, count + 2))
    assert clustered_share([float("nan")], [1.0], [["a"]]).n == 0
