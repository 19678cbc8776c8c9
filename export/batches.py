"""Training mixtures made ahead: by a thread beside the training, or by processes where a GPU asks for more than one
core can make.

A batch is a function of (seed, step), so that they are the same whoever makes them.
"""

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from export.mixtures import Mixer

Batch = NDArray[np.float32]  # (examples, sources, samples)
Make = Callable[[int], Batch]  # of a step
AHEAD = 2  # batches that each maker is asked for before the first is taken


class Maker(Protocol):
    """Makes the batches it is asked for, in that order, while something else goes on."""

    def ask(self, step: int) -> None:
        """For the batch of a step."""
        ...

    def take(self) -> Batch:
        """The oldest that was asked for, once it is made. Raises what making it raised."""
        ...

    def close(self) -> None:
        """No more are wanted."""
        ...


class Batches:
    """A run's batches in their order, made ahead, to the end of the context.

    workers: processes that make them; with 0 it is a thread of this one.
    """

    def __init__(self, mixer: Mixer, seed: int, share: range, samples: int, workers: int = 0) -> None:
        make = partial(_make, mixer, seed, share, samples)
        self._makers: list[Maker] = [InProcess(make) for _ in range(workers)] or [InThread(make)]

    def __enter__(self) -> "Batches":
        return self

    def __exit__(self, *_: object) -> None:
        for maker in self._makers:
            maker.close()

    def of(self, steps: range) -> Iterator[Batch]:
        """Those of these steps. Raises RuntimeError when a process that makes them was killed."""
        makers = self._makers
        for step in steps[: AHEAD * len(makers)]:
            makers[step % len(makers)].ask(step)
        for step in steps:
            maker = makers[step % len(makers)]
            batch = maker.take()
            if (later := step + AHEAD * len(makers)) < steps.stop:
                maker.ask(later)
            yield batch


class InThread:
    """A `Maker` in this process."""

    def __init__(self, make: Make) -> None:
        self._make, self._thread = make, ThreadPoolExecutor(1)
        self._asked: deque[Future[Batch]] = deque()

    def ask(self, step: int) -> None:
        """See `Maker`."""
        self._asked.append(self._thread.submit(self._make, step))

    def take(self) -> Batch:
        """See `Maker`."""
        return self._asked.popleft().result()

    def close(self) -> None:
        """See `Maker`."""
        self._thread.shutdown(cancel_futures=True)


class InProcess:
    """A `Maker` in a process of its own, with a pipe of its own: whenever it is killed, in the middle of a batch
    even, the pipe ends and whoever waits for it knows."""

    def __init__(self, make: Make) -> None:
        spawn = multiprocessing.get_context("spawn")  # no fork: here are threads of torch's, and perhaps a GPU
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(make, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, step: int) -> None:
        """See `Maker`."""
        with suppress(OSError):  # it was killed, which `take` will tell
            self._pipe.send(step)

    def take(self) -> Batch:
        """See `Maker`. Raises RuntimeError when the process was killed."""
        try:
            made = self._pipe.recv()
        except (EOFError, OSError):
            raise RuntimeError(
                "a process that makes training mixtures was killed: is there memory for all?"
            ) from None
        if isinstance(made, Exception):
            raise made
        batch: Batch = made
        return batch

    def close(self) -> None:
        """See `Maker`."""
        self._pipe.close()
        self._process.terminate()
        self._process.join()


def _serve(make: Make, pipe: Connection) -> None:
    """In a process that makes batches: Ctrl-C is for who started it, and it ends when he does, however he ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(EOFError, OSError):
        while True:
            step = pipe.recv()
            try:
                made: Batch | Exception = make(step)
            except Exception as error:
                made = error
            pipe.send(made)


def _make(mixer: Mixer, seed: int, share: range, samples: int, step: int) -> Batch:
    return mixer.batch(seed, step, share, samples)
