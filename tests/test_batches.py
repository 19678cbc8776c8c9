"""Mixtures made ahead are those that were asked for, in their order, whoever makes them."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from kin import children
from tiny_data import make_data

from export.batches import Batches
from export.mixtures import RECIPES, Mixer

SEED, SHARE, SAMPLES = 3, range(1, 3), 4000


@pytest.fixture(scope="module")
def mixer(tmp_path_factory: pytest.TempPathFactory) -> Mixer:
    folder = tmp_path_factory.mktemp("batches")
    return RECIPES["noise"](make_data(folder / "data"), "train", folder / "cache")


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_batches_come_in_their_order_whoever_makes_them(mixer: Mixer, workers: int) -> None:
    steps = range(5, 12)
    with Batches(mixer, SEED, SHARE, SAMPLES, workers) as batches:
        made = list(batches.of(steps))
    for step, batch in zip(steps, made, strict=True):
        assert np.array_equal(batch, mixer.batch(SEED, step, SHARE, SAMPLES))


def test_a_run_may_end_before_its_steps_are_over(mixer: Mixer) -> None:
    with Batches(mixer, SEED, SHARE, SAMPLES) as batches:
        assert np.array_equal(next(batches.of(range(1, 10**9))), mixer.batch(SEED, 1, SHARE, SAMPLES))


@pytest.mark.parametrize("later_s", [0.0, 0.05, 0.3])  # at work, or in the middle of handing over
def test_a_process_that_is_killed_is_no_mystery(mixer: Mixer, later_s: float) -> None:
    with Batches(mixer, SEED, SHARE, 400_000, workers=1) as batches:  # more than fits into a pipe
        made = batches.of(range(1, 10**9))
        next(made)
        commands = {each: Path(f"/proc/{each}/cmdline").read_bytes() for each in children(os.getpid())}
        (worker,) = (each for each, command in commands.items() if b"spawn_main" in command)
        time.sleep(later_s)
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(RuntimeError, match="was killed: is there memory for all"):
            list(made)


@pytest.mark.parametrize("workers", [0, 2])
def test_what_goes_wrong_with_a_batch_is_raised_where_it_is_taken(mixer: Mixer, workers: int) -> None:
    with (
        Batches(mixer, SEED, SHARE, -1, workers) as batches,
        pytest.raises(ValueError, match="negative"),
    ):
        list(batches.of(range(1, 3)))
