"""Analysis and synthesis give back what went in, for every window, synthesis window and hop that are allowed."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import lengths, seeds

from streamsep.arrays import Samples
from streamsep.errors import ConfigError
from streamsep.realtime.stft import Analysis, Synthesis, analysis_taper, check_lengths, synthesis_taper

GRID = [
    (window, synthesis, hop)
    for window in (16, 32, 64, 96, 128, 256, 320, 512, 1024)
    for synthesis in (8, 16, 32, 64, 80, 96, 128, 160, 256, 320, 512, 1024)
    for hop in (4, 8, 16, 32, 40, 64, 80, 128, 256, 512)
    if window % hop == synthesis % hop == 0 and hop < synthesis <= window
]


def through(lengths: tuple[int, int, int], samples: Samples, masks: Samples | float = 1.0) -> Samples:
    """(channels, samples) -> (channels, samples), by hops; masks: (hops, bins) or one for all."""
    window, _, hop = lengths
    analysis, back = Analysis(len(samples), *lengths), Synthesis(len(samples), *lengths)
    out = np.zeros_like(samples)
    masks = np.broadcast_to(masks, (samples.shape[1] // hop, window // 2 + 1))
    for t, mask in enumerate(masks):
        piece = slice(t * hop, (t + 1) * hop)
        back.masked[:] = analysis.process(samples[:, piece]) * mask
        out[:, piece] = back.process()
    return out


@pytest.mark.parametrize("lengths", GRID)
def test_every_window_and_hop_reconstructs_perfectly(lengths: tuple[int, int, int]) -> None:
    window, synthesis, hop = lengths
    sound = np.random.default_rng(0).uniform(-1, 1, (2, (2 * window // hop + 3) * hop))
    late = synthesis - hop
    np.testing.assert_allclose(
        through(lengths, sound)[:, late:], sound[:, : sound.shape[1] - late], rtol=0, atol=1e-12
    )


@settings(max_examples=100, deadline=None)
@given(lengths=lengths(), seed=seeds)
def test_any_lengths_reconstruct_perfectly(lengths: tuple[int, int, int], seed: int) -> None:
    test_sound = np.random.default_rng(seed).uniform(-1, 1, (1, 30 * lengths[2]))
    late = lengths[1] - lengths[2]
    out = through(lengths, test_sound)
    np.testing.assert_allclose(out[:, late:], test_sound[:, : test_sound.shape[1] - late], rtol=0, atol=1e-12)
    np.testing.assert_allclose(out[:, :late], 0, rtol=0, atol=1e-12)


def slow_and_obvious(lengths: tuple[int, int, int], samples: Samples, masks: Samples) -> Samples:
    """(samples,), (hops, bins) -> (samples,): every frame cut from the whole, and its end laid on the sum."""
    window, synthesis, hop = lengths
    padded = np.concatenate([np.zeros(window - hop), samples, np.zeros(window)])
    out = np.zeros(len(padded))
    for t, mask in enumerate(masks):
        frame = padded[t * hop : t * hop + window] * analysis_taper(window, synthesis)
        frame = np.fft.irfft(np.fft.rfft(frame) * mask, window)[-synthesis:] * synthesis_taper(window, synthesis, hop)
        out[t * hop + window - synthesis : t * hop + window] += frame
    late = window - synthesis  # where the first frame's end lies
    return out[late : late + len(samples)]


@settings(max_examples=50, deadline=None)
@given(lengths=lengths(), seed=seeds)
def test_masked_frames_add_up_as_written_down_the_slow_way(lengths: tuple[int, int, int], seed: int) -> None:
    window, _, hop = lengths
    random = np.random.default_rng(seed)
    sound, masks = random.uniform(-1, 1, 20 * hop), random.uniform(0, 1, (20, window // 2 + 1))
    fast = through(lengths, sound[None], masks)[0]
    np.testing.assert_allclose(fast, slow_and_obvious(lengths, sound, masks), rtol=0, atol=1e-11)


@settings(max_examples=50, deadline=None)
@given(lengths=lengths())
def test_no_taper_amplifies_and_both_make_one(lengths: tuple[int, int, int]) -> None:
    window, synthesis, hop = lengths
    look, heard = analysis_taper(window, synthesis), synthesis_taper(window, synthesis, hop)
    assert 0 <= look.min() <= look.max() <= 1
    assert heard.min() >= 0
    overlapped = (look[-synthesis:] * heard).reshape(-1, hop).sum(axis=0)
    np.testing.assert_allclose(overlapped, 1, rtol=0, atol=1e-12)
    if window >= 2 * synthesis:
        assert heard.max() < 1.5  # a root-Hann analysis over the whole window would need 2.9


def test_a_spectrum_is_that_of_the_newest_window() -> None:
    sound = np.random.default_rng(1).uniform(-1, 1, (1, 960))
    analysis = Analysis(1, 128, 64, 32)
    for at in range(0, 960, 32):
        spectrum = analysis.process(sound[:, at : at + 32])
    np.testing.assert_allclose(
        spectrum[0], np.fft.rfft(sound[0, -128:] * analysis_taper(128, 64)), rtol=0, atol=1e-12
    )


@settings(max_examples=20, deadline=None)
@given(lengths=lengths(), seed=seeds)
def test_reset_means_new(lengths: tuple[int, int, int], seed: int) -> None:
    sound = np.random.default_rng(seed).uniform(-1, 1, (2, 8, lengths[2]))
    used, used_back = Analysis(2, *lengths), Synthesis(2, *lengths)
    for piece in sound.transpose(1, 0, 2)[:5]:
        used_back.masked[:] = used.process(piece)
        used_back.process()
    used.reset()
    used_back.reset()
    new, new_back = Analysis(2, *lengths), Synthesis(2, *lengths)
    for piece in sound.transpose(1, 0, 2):
        used_back.masked[:] = used.process(piece)
        new_back.masked[:] = new.process(piece)
        np.testing.assert_array_equal(used_back.process(), new_back.process())


@given(st.integers(-4, 40), st.integers(-4, 40), st.integers(-4, 20))
def test_lengths_that_cannot_be_are_refused(window: int, synthesis: int, hop: int) -> None:
    possible = (
        hop > 0
        and 0 < hop < synthesis <= window
        and window % hop == synthesis % hop == window % 2 == synthesis % 2 == 0
    )
    assume(not possible)
    with pytest.raises(ConfigError):
        check_lengths(window, synthesis, hop)
    with pytest.raises(ConfigError):
        Analysis(1, window, synthesis, hop)
    with pytest.raises(ConfigError):
        Synthesis(1, window, synthesis, hop)
