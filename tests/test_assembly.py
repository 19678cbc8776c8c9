"""The two doors: `load` and `separate`. A whole file is what the live engine makes of it, in time and in full."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_bank import make_bank, make_model
from strategies import noise, partitions, rates, seeds

import streamsep
from streamsep.arrays import Array
from streamsep.errors import AudioError, ConfigError, ModelError
from streamsep.models.subject import hear

GAINS = {"noise": -30.0, "accompaniment": -30.0, "talker-2": -30.0}


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {"bank": str(make_bank(tmp_path_factory.mktemp("models") / "bank")), "precision": "fp32"}


@settings(max_examples=30, deadline=None)
@given(
    data=st.data(),
    rate=rates,
    channels=st.integers(0, 3),
    count=st.integers(1, 9000) | st.sampled_from([1, 8191, 8192, 8193, 16_384]),
    seed=seeds,
    domain=st.sampled_from(["noise", "music", "talkers"]),
)
def test_a_file_is_what_the_live_engine_gives_to_the_bit_less_its_latency(
    bank: dict[str, str], data: st.DataObject, rate: int, channels: int, count: int, seed: int, domain: str
) -> None:
    """channels 0: without an axis for them."""
    sound = noise(seed, count, max(2, channels))[:, : max(1, channels)]
    sound = sound if channels else sound[:, 0]
    options = {"domain": domain, "models": bank, "gains_db": GAINS}
    result = streamsep.separate(sound, rate, **options)
    with streamsep.load(rate=rate, channels=max(1, channels), **options) as engine:
        heard, sources = hear(engine, sound, data.draw(partitions(count)))
        tail, last = engine.flush(separate=True)
        late, names = engine.latency.samples, engine.sources
        tail, last = tail.reshape(late, *sound.shape[1:]), last.reshape(len(last), late, *sound.shape[1:])
        whole, parts = np.concatenate([heard, tail])[late:], np.concatenate([sources, last], 1)[:, late:]
        assert result.counters == engine.counters
        assert result.latency == engine.latency
    assert result.domain == domain == result.manifests[domain].domain
    assert tuple(result.sources) == names
    assert (result.listen.shape, result.listen.dtype) == (sound.shape, np.float32)
    np.testing.assert_array_equal(result.listen, whole)
    for source, part in zip(result.sources.values(), parts, strict=True):
        np.testing.assert_array_equal(source, part)


@settings(max_examples=20, deadline=None)
@given(seed=seeds, count=st.integers(1, 9000))
def test_the_sources_are_in_time_with_the_input_and_add_up_to_it(bank: dict[str, str], seed: int, count: int) -> None:
    sound = noise(seed, count, peak=0.4)
    result = streamsep.separate(sound, 16_000, domain="talkers", models=bank)
    np.testing.assert_allclose(sum(result.sources.values()), sound, atol=1e-6)
    np.testing.assert_allclose(result.listen, sound, atol=1e-6)  # both talkers are at 0 dB
    quiet = streamsep.separate(sound, 16_000, domain="talkers", models=bank, gains_db={"talker-1": -40})
    wanted = result.sources["talker-2"] + 0.01 * result.sources["talker-1"]
    np.testing.assert_allclose(quiet.listen, wanted, atol=1e-6)


def test_progress_goes_from_little_to_all(bank: dict[str, str]) -> None:
    told: list[float] = []
    streamsep.separate(noise(0, 30_000), 16_000, domain="noise", models=bank, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(told) >= 4


@pytest.mark.parametrize(
    "samples", [np.zeros(0), np.zeros((0, 2)), np.zeros((5, 0)), np.zeros((2, 2, 2)), np.float32(1)]
)
def test_what_holds_no_samples_is_refused(bank: dict[str, str], samples: Array) -> None:
    with pytest.raises(AudioError, match=r"samples: expected \(samples,\) or \(samples, channels\), not empty"):
        streamsep.separate(samples, 16_000, domain="noise", models=bank)


def test_a_list_of_numbers_is_a_sound_but_integers_are_not(bank: dict[str, str]) -> None:
    result = streamsep.separate([0.0, 0.5, -0.5], 16_000, domain="noise", models=bank)  # type: ignore[arg-type]
    assert result.listen.shape == (3,)
    with pytest.raises(AudioError, match="floating point samples"):
        streamsep.separate(np.zeros(99, np.int16), 16_000, domain="noise", models=bank)  # type: ignore[arg-type]


def test_gains_are_for_sources_that_are_there_or_usual(bank: dict[str, str], tmp_path: Path) -> None:
    make_model(tmp_path / "birds-step-fp32.onnx", "birds", ("bird", "wind"))
    only = {"bank": str(tmp_path), "precision": "fp32"}
    with streamsep.load(domain="birds", models=only) as engine:  # the defaults name sources that this bank lacks
        assert engine.sources == ("bird", "wind")
    with pytest.raises(ConfigError, match=r"no source is called 'brid'; this bank has \['bird'"):
        streamsep.load(domain="birds", models=only, gains_db={"brid": 0})
    with pytest.raises(ConfigError, match=r"unknown domain 'noise'; this bank has \['birds'\]"):
        streamsep.load(domain="noise", models=only)
    with pytest.raises(ModelError, match=r"expected files named DOMAIN-step-int8\.onnx"):
        streamsep.load(models={"bank": str(tmp_path)})
    with pytest.raises(ConfigError, match="did you mean fade_ms"):
        streamsep.load(models=bank, fade=3)
