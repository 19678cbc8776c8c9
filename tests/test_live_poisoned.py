"""What is no number comes in from a real JACK client: nobody hears it, and after it all is as it was."""

from pathlib import Path

import numpy as np
from jack_noise import LEVEL, jack_noise
from jack_server import jack_server
from small_bank import make_bank
from test_live_faults import live

from streamsep.arrays import Samples
from streamsep.errors import AudioError
from streamsep.record.folder import read
from streamsep.replay import replay

PERIOD = 1024
ENGINE = 192 + 192 + 80  # samples between what comes in and what goes out, both as they are recorded
CEILING = 10 ** (-1 / 20)
NOISE_DB = -30.0  # what the model takes for noise is turned down by so much: dry sound would be louder
SOME = 12_000  # samples: enough to judge by, and for what was remembered to be forgotten


def recorded(take: Path) -> tuple[Samples, Samples]:
    """What came in and what was heard, of the first channel, as far as it is written."""
    try:
        session = read(take)
    except AudioError:  # nothing yet
        return np.zeros(0), np.zeros(0)
    count = min(len(session.input), len(session.output))
    return session.input[:count, 0].astype(float), session.output[:count, 0].astype(float)


def level_db(heard: Samples, came: Samples) -> float:
    return float(10 * np.log10(np.mean(heard**2) / np.mean(came**2)))


def delay(heard: Samples, came: Samples) -> int:
    """Of the one after the other, in samples, by correlation."""
    size = 2 * len(came)
    both = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(came, size)), size)
    return int(np.argmax(np.abs(both[: len(came) // 2])))


def test_what_is_no_number_is_never_heard_and_leaves_neither_a_trace_nor_a_delay(tmp_path: Path) -> None:
    bank, take = make_bank(tmp_path / "bank"), tmp_path / "take"
    mine = ["--set", f"models.bank={bank}", "--set", "models.precision=fp32", "--set", "live.start_db=0"]
    mine += ["--set", f"gains_db.noise={NOISE_DB}", "--domain", "noise", "--record", str(take)]
    with (
        jack_server(period=PERIOD) as environment,
        live(environment, tmp_path, *mine) as running,
        jack_noise(environment, "PortAudio:in_0") as noise,
    ):
        running.wait(lambda: np.count_nonzero(recorded(take)[0]) > 3 * SOME)
        noise.poisoned = True
        running.wait(lambda: not np.isfinite(recorded(take)[0]).all())
        noise.poisoned = False
        running.wait(lambda: bool(np.isfinite(recorded(take)[0][-3 * SOME :]).all()))
        summary = running.stop()
    came, heard = recorded(take)
    bad = np.flatnonzero(~np.isfinite(came))
    assert len(bad) > PERIOD / 2
    assert np.isfinite(heard).all()
    assert np.abs(heard).max() <= CEILING
    before, after = slice(bad[0] - 2 * SOME, bad[0]), slice(bad[-1] + SOME, bad[-1] + 3 * SOME)
    for while_clean in (before, after):
        assert np.std(came[while_clean]) > LEVEL / 2
        assert abs(level_db(heard[while_clean], came[while_clean]) - NOISE_DB) < 1
        assert delay(heard[while_clean], came[while_clean]) == ENGINE
    assert summary["counters"]["non_finite_hops"] > 0
    assert (summary["faults"], summary["reconnections"], summary["counters"]["separator_faults"]) == (0, 0, 0)
    assert summary["latency"]["samples"] == ENGINE + 2 * PERIOD  # who plays here is heard at once
    assert replay(take).differs_at is None
