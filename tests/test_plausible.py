"""What no recording is: it is refused before anything is made of it, with what would be right."""

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st
from strategies import noise

import streamsep
from streamsep.audio import files
from streamsep.errors import AudioError, ConfigError
from streamsep.plausible import LOUDEST, MOST_CHANNELS, complaint

FINE = noise(0, 1000, 2)
WITH_A_HOLE = FINE.copy()
WITH_A_HOLE[500, 1] = np.nan


@given(st.floats(0, LOUDEST), st.integers(1, 5))
def test_what_is_no_louder_than_sound_passes_in_any_shape_and_precision(peak: float, channels: int) -> None:
    sound = noise(1, 50, channels, peak=1.0) * peak
    for kind in (np.float16, np.float32, np.float64):
        assert complaint(sound.astype(kind), 16_000) is None
        assert complaint(-sound[:, ...].astype(kind), 16_000) is None


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        ((FINE * 32767).astype(np.int16), "got int16; samples of 16 bits are to be divided by 32768"),
        (FINE.astype(np.complex64), "expected floating point samples"),
        (FINE * 32768, r"expected samples in \[-1, 1\], got some of .*divided by 32768"),
        (-np.ones(9, np.float32) * 1000, "got some of 1000"),
        (noise(0, 2, MOST_CHANNELS + 1), r"channels come first, give samples\.T"),
        (WITH_A_HOLE, r"1 of 2000 samples are not finite .* at sample 500 \(0\.031 s\) of channel 2"),
        (np.array([0, np.inf], np.float32), "the first at sample 1"),
    ],
)
def test_the_rest_is_refused_and_told_what_would_be_right(samples: np.ndarray, said: str) -> None:
    with pytest.raises(AudioError, match=f"samples: .*{said}"):
        streamsep.separate(samples, 16_000, domain="noise")


def test_a_file_is_named(tmp_path: object) -> None:
    path = f"{tmp_path}/loud.wav"
    sf.write(path, FINE * 32768, 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"loud\.wav: expected samples in \[-1, 1\]"):
        files.read(path)
    assert np.abs(files.read(path, finite=False)[0]).max() > LOUDEST


@pytest.mark.parametrize("channels", [0, MOST_CHANNELS + 1, 10**6, 1.0, "2", None, True])
def test_an_engine_has_as_many_channels_as_there_can_be(channels: object) -> None:
    with pytest.raises(ConfigError, match="channels must be"):
        streamsep.load(domain="noise", channels=channels)  # type: ignore[arg-type]


def test_what_is_no_number_no_array_and_no_choice_is_refused_by_name() -> None:
    engine = streamsep.load(domain="noise")
    for gain_db in ("x", None, [1], 1j, True):
        with pytest.raises(ConfigError, match=r"gains_db\.speech: must be a number of dB"):
            engine.set_gain("speech", gain_db)  # type: ignore[arg-type]
    engine.set_gain("speech", np.float32(-3))
    for block in ([0.0] * 64, None):
        with pytest.raises(ConfigError, match="block: expected a NumPy array"):
            engine.process(block)  # type: ignore[call-overload]
    with pytest.raises(ConfigError, match="out: expected a NumPy array"):
        engine.process(np.zeros(64, np.float32), out=[0.0] * 64)  # type: ignore[call-overload]
    with pytest.raises(ConfigError, match="'auto' needs a monitor"):
        engine.select("auto")
    with pytest.raises(ConfigError, match="domain: all of them are scored"):
        streamsep.score(FINE, 16_000, domain="noise")
