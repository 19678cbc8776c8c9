"""Every law, held against the fakes, the shipped models and the engine; and every law broken, to see it notice."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from contract import SHIPPED, SUBJECTS, laws_of, spread, steps, subject, verdict
from fakes import FRONT, Leaky, LeakySequence, PassThrough, make_engine
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import channel_counts, front_ends, gains_db, noise, partitions, rates, seeds, synthesis_ms

from streamsep.arrays import Array, Masks, Samples, Spectrum, State
from streamsep.models import laws
from streamsep.models.bank import ZOO
from streamsep.models.laws import LAWS, SEQUENCE_LAWS
from streamsep.models.subject import Spectra, Subject, example_sound, hear, hops_of, lag_of, step_through
from streamsep.realtime.engine import Engine
from streamsep.realtime.ledger import Ledger
from streamsep.realtime.stft import FrontEnd

CEILING = 10 ** (-1 / 20)


@pytest.mark.parametrize(("name", "law"), [(name, law) for name in SUBJECTS for law in laws_of(name)])
def test_every_subject_keeps_every_law(name: str, law: str) -> None:
    found = verdict(name, law)
    assert found.passed, found.detail


def test_every_law_concerns_somebody_and_only_what_has_no_graph_is_spared_one() -> None:
    for name in SUBJECTS:
        lacking = set(LAWS if isinstance(subject(name), Subject) else SEQUENCE_LAWS) - set(laws_of(name))
        assert lacking == set() if name in SHIPPED or name == "leaky" else lacking == {"2 one arithmetic"}


def test_every_shipped_model_is_a_subject_and_there_are_some() -> None:
    assert set(SHIPPED) == {path.stem for path in ZOO.glob("*.onnx")}
    assert {f"{domain}-step-{kind}" for domain in ("noise", "music") for kind in ("fp32", "int8")} <= set(SHIPPED)


@pytest.mark.parametrize("name", ["leaky", "clustered", *steps()])
def test_masks_move_so_that_the_laws_are_about_something(name: str) -> None:
    it = subject(name)
    assert isinstance(it, Subject)
    masks = step_through(it.make(), hops_of(it.front_end, example_sound(it.front_end, 2)))
    assert spread(masks) > 0.05
    heard, sources = hear(laws.make_engine(it), example_sound(it.front_end, 2))
    assert np.abs(heard - sources.sum(0)).max() > 0.05  # the gains make a difference


# --------------------------------------------------------------------------------------------- laws that are broken


class Moody(Leaky):
    """Breaks law 1: no two are alike."""

    made = 0

    def __init__(self) -> None:
        super().__init__()
        Moody.made += 1
        self._memory = np.float32(0.5 + 0.001 * Moody.made)


class Forgetful(LeakySequence):
    """Breaks laws 2 and 5: what it hands over is not where it ended."""

    def run(self, spectrum: Spectra, state: State) -> tuple[Array, State]:
        result, _ = super().run(spectrum, state)
        return result, self.start()


class Seer(LeakySequence):
    """Breaks law 3: takes away the mean of all masks, later ones too."""

    def run(self, spectrum: Spectra, state: State) -> tuple[Array, State]:
        result, state = super().run(spectrum, state)
        return result - result.mean(axis=0), state


class Signed(PassThrough):
    """Breaks law 6: its mask is no mask."""

    def process(self, spectrum: Spectrum, samples: Samples) -> Masks:
        self._masks[0] = np.cos(2 * np.pi * np.arange(self.bins) * 20 / FRONT.window)
        return self._masks


class Stubborn(Leaky):
    """Breaks law 5: remembers in spite of a reset."""

    def reset(self) -> None:
        pass


class Partial(Leaky):
    """Breaks law 5: its state is not all it remembers."""

    def state(self) -> State:
        return super().state() | {"recent": np.zeros_like(self._recent)}


class Lender(Leaky):
    """Breaks law 5: hands out its memory instead of a copy."""

    def state(self) -> State:
        return {"mean": self._mean, "recent": self._recent}


class Greedy(Leaky):
    """Breaks law 6: gives away more than there is."""

    def process(self, spectrum: Spectrum, samples: Samples) -> Masks:
        masks = super().process(spectrum, samples)
        masks[0] += 0.01
        return masks


class Brittle(Leaky):
    """Breaks law 7: cannot take it loud."""

    def process(self, spectrum: Spectrum, samples: Samples) -> Masks:
        masks = super().process(spectrum, samples)
        if self._recent[-1].max() > 1e9:
            masks[0, 0] = np.nan
        return masks


class Haunted(Leaky):
    """Breaks law 7: a sound that is no number stays in its state."""

    def state(self) -> State:
        return super().state() | {"mean": np.full_like(self._mean, np.nan if self._mean.max() > 0 else 0)}


class Hoarder(Leaky):
    """Breaks law 8: keeps something of every hop."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: list[bytes] = []

    def process(self, spectrum: Spectrum, samples: Samples) -> Masks:
        self._kept.append(bytes(50))
        return super().process(spectrum, samples)


class Wasteful(Leaky):
    """Breaks law 8: takes a lot for a moment."""

    def process(self, spectrum: Spectrum, samples: Samples) -> Masks:
        return super().process(np.array(spectrum), samples)


BROKEN: list[tuple[str, Subject]] = [
    ("1 same in pieces", Subject(Moody, FRONT)),
    ("2 one arithmetic", Subject(partial(Leaky, memory=0.91), FRONT, LeakySequence())),
    ("2 one arithmetic", Subject(Leaky, FRONT, look_back=Forgetful())),
    ("3 causal", Subject(Leaky, FRONT, Seer())),
    ("3 causal", Subject(Leaky, FRONT, look_back=Seer(), exact=False)),
    ("5 reset and state", Subject(Stubborn, FRONT)),
    ("5 reset and state", Subject(Partial, FRONT)),
    ("5 reset and state", Subject(Lender, FRONT)),
    ("5 reset and state", Subject(Leaky, FRONT, Forgetful())),
    ("6 sources add up", Subject(Greedy, FRONT)),
    ("6 sources add up", Subject(Signed, FRONT)),
    ("7 finite", Subject(Brittle, FRONT)),
    ("7 finite", Subject(Haunted, FRONT)),
    ("8 steady", Subject(Hoarder, FRONT)),
    ("8 steady", Subject(Wasteful, FRONT)),
]


@pytest.mark.parametrize(("law", "broken"), BROKEN)
def test_a_law_that_is_broken_is_noticed(monkeypatch: pytest.MonkeyPatch, law: str, broken: Subject) -> None:
    monkeypatch.setattr(laws, "STEADY_HOPS", 500)
    found = laws.judge(law, partial(laws.LAWS[law][1], broken))
    assert not found.passed, found.detail


def test_a_ledger_that_is_off_by_a_sample_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ledger, "samples", property(lambda ledger: round(sum(ledger.terms.values())) + 1))
    assert not verdict("leaky", "4 delay").passed


def test_a_sample_above_the_ceiling_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamsep.realtime.limiter.Limiter.process", lambda self, samples: samples)
    assert not verdict("leaky", "10 ceiling").passed


# ------------------------------------------------------------------------------------------- the engine, at any rate


def whole_and_pieces(make: Callable[[], Engine], sound: Array, blocks: list[int]) -> None:
    """Law 1."""
    whole, pieces = hear(make(), sound), hear(make(), sound, blocks)
    assert whole[0].any()
    np.testing.assert_array_equal(whole[0], pieces[0])
    np.testing.assert_array_equal(whole[1], pieces[1])


@settings(max_examples=40, deadline=None)
@given(data=st.data(), rate=rates, channels=channel_counts, front=front_ends(), gains=st.lists(gains_db, min_size=3))
def test_a_sound_is_the_same_in_any_pieces(
    data: st.DataObject, rate: int, channels: int, front: FrontEnd, gains: list[float]
) -> None:
    sound = noise(data.draw(seeds), min(9000, 200 * front.hop), channels, peak=2.0)  # the limiter works too
    settings_db = dict(zip(("talker-1", "talker-2", "event"), gains, strict=False))

    options = {"gains_db": settings_db, "synthesis_ms": data.draw(synthesis_ms(front))}

    def make() -> Engine:
        return make_engine(Leaky(front), front_end=front, rate=rate, channels=channels, **options)

    whole_and_pieces(make, sound, data.draw(partitions(len(sound))))


@pytest.mark.parametrize("name", steps())
@settings(max_examples=2, deadline=None)
@given(data=st.data(), rate=rates, channels=channel_counts)
def test_a_shipped_model_sounds_the_same_in_any_pieces_at_any_rate(
    name: str, data: st.DataObject, rate: int, channels: int
) -> None:
    it = subject(name)
    assert isinstance(it, Subject)
    roles = it.make().sources
    sound = noise(data.draw(seeds), 9000, channels)
    options = {"gains_db": {roles[0]: 0, roles[1]: -30}, "synthesis_ms": data.draw(synthesis_ms(it.front_end))}

    def make() -> Engine:
        return make_engine(it.make(), front_end=it.front_end, rate=rate, channels=channels, **options)

    whole_and_pieces(make, sound, data.draw(partitions(len(sound))))


@settings(max_examples=40, deadline=None)
@given(
    data=st.data(),
    rate=rates,
    front=front_ends(),
    seed=seeds,
    look_ahead=st.integers(0, 4),
    limiter_ms=st.sampled_from([0.0, 2.5]),
)
def test_the_delay_is_the_ledgers_at_any_rate(
    data: st.DataObject, rate: int, front: FrontEnd, seed: int, look_ahead: int, limiter_ms: float
) -> None:
    sound = noise(seed, 150 * front.hop * rate // front.sample_rate)
    options = {"look_ahead_ms": limiter_ms, "synthesis_ms": data.draw(synthesis_ms(front))}
    for gains in ({}, {"talker-2": -20, "event": -40}):
        separator = Leaky(front, look_ahead)
        engine = make_engine(separator, front_end=front, rate=rate, gains_db=gains, **options)
        heard, _ = hear(engine, sound)
        late = engine.latency.samples
        assert sum(engine.latency.terms.values()) == pytest.approx(late, abs=1e-9)
        assert min(engine.latency.terms.values()) >= 0
        assert lag_of(heard, sound) == late


@settings(max_examples=40, deadline=None)
@given(
    rate=rates,
    channels=channel_counts,
    seed=seeds,
    used=st.integers(0, 5000),
    bypassed=st.booleans(),
    window_ms=st.sampled_from([None, 4, 2]),
)
def test_an_engine_that_is_reset_is_as_new(
    rate: int, channels: int, seed: int, used: int, bypassed: bool, window_ms: float | None
) -> None:
    sound = noise(seed, 6000, channels)
    options = {"rate": rate, "channels": channels, "gains_db": {"talker-2": -20, "event": -40}}
    options["synthesis_ms"] = window_ms
    engine, new = (make_engine(Leaky(), Leaky(look_ahead=4), warm_up_ms=20.0, **options) for _ in range(2))
    engine.select("b")
    engine.bypass(True)
    hear(engine, 3 * sound[:used])
    engine.bypass(bypassed)
    new.bypass(bypassed)
    engine.select(engine.domain)  # what is ordered outlives a reset
    if engine.domain != new.domain:  # it had the time to go over
        new.select(engine.domain)
        hear(new, noise(1, 8 * rate // 10, channels))
    engine.reset()
    new.reset()
    assert engine.counters == new.counters
    assert engine.domain == new.domain
    for first, second in zip(hear(engine, sound), hear(new, sound), strict=True):
        np.testing.assert_array_equal(first, second)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), rate=rates, channels=channel_counts, front=front_ends(), seed=seeds)
def test_the_sources_add_up_to_what_equal_gains_give(
    data: st.DataObject, rate: int, channels: int, front: FrontEnd, seed: int
) -> None:
    sound = noise(seed, 200 * front.hop, channels, peak=0.3)
    shorter = data.draw(synthesis_ms(front))
    engine = make_engine(Leaky(front), front_end=front, rate=rate, channels=channels, synthesis_ms=shorter)
    heard, sources = hear(engine, sound)
    np.testing.assert_allclose(sources.sum(0), heard, atol=1e-6)
    assert min(np.abs(source).max() for source in sources) > 0.001
    if rate == front.sample_rate:
        late = engine.latency.samples
        np.testing.assert_allclose(heard[late:], sound[:-late], atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    rate=rates,
    channels=channel_counts,
    seed=seeds,
    loudness=st.floats(0, 38).map(lambda exponent: np.float32(10**exponent)),
    gains=st.lists(gains_db, min_size=3, max_size=3),
    look_ahead_ms=st.sampled_from([0.0, 3.0]),
    ceiling_db=st.floats(-40, 0),
)
def test_no_sample_is_above_the_ceiling(
    rate: int, channels: int, seed: int, loudness: float, gains: list[float], look_ahead_ms: float, ceiling_db: float
) -> None:
    sound = noise(seed, 4000, channels, peak=1.0) * loudness
    options = {"look_ahead_ms": look_ahead_ms, "ceiling_db": ceiling_db}
    engine = make_engine(Leaky(), rate=rate, channels=channels, **options)
    for name, gain_db in zip(engine.sources, gains, strict=True):
        engine.set_gain(name, gain_db)
    heard, sources = hear(engine, sound)
    assert np.abs(heard).max() <= 10 ** (ceiling_db / 20)
    assert np.isfinite(sources).all()
