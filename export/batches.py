"""Training mixtures made ahead: by a thread beside the training, or by processes where a GPU asks for more than one
core can make.

A batch is a function of (seed, step), so that they are the same whoever makes them.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy as np
from numpy.typing import NDArray

from export.mixtures import Mixer

Batch = NDArray[np.float32]  # (examples, sources, samples)

_mixer: Mixer  # of a process that makes batches, and does nothing else


class Batches:
    """A run's batches in their order, made ahead, to the end of the context.

    workers: processes that make them; with 0 it is a thread of this one.
    """

    def __init__(self, mixer: Mixer, seed: int, share: range, samples: int, workers: int = 0) -> None:
        self._what = seed, share, samples
        self._mixer, self._workers = mixer, workers
        self._pool: Executor
        if workers:  # none is a fork: this process has threads of torch's, and perhaps a GPU
            spawn = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(workers, spawn, initializer=_begin, initargs=(mixer,))
        else:
            self._pool = ThreadPoolExecutor(1)

    def __enter__(self) -> "Batches":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def of(self, steps: range) -> Iterator[Batch]:
        """Those of these steps. Raises RuntimeError when a process that makes them was killed."""
        ahead: deque[Future[Batch]] = deque()
        try:
            for step in steps:
                while len(ahead) <= max(1, self._workers) and step + len(ahead) < steps.stop:
                    ahead.append(self._submit(step + len(ahead)))
                yield ahead.popleft().result()
        except BrokenProcessPool:
            raise RuntimeError(
                "a process that makes training mixtures was killed: is there memory for all?"
            ) from None

    def _submit(self, step: int) -> "Future[Batch]":
        seed, share, samples = self._what
        if self._workers:
            return self._pool.submit(_make, seed, step, share, samples)
        return self._pool.submit(self._mixer.batch, seed, step, share, samples)


def _begin(mixer: Mixer) -> None:
    """In a process that makes batches: Ctrl-C is for who started it, and it ends when he does, however he ends."""
    global _mixer
    _mixer = mixer
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def leave() -> None:
        parent.join()
        os._exit(0)

    threading.Thread(target=leave, daemon=True).start()


def _make(seed: int, step: int, share: range, samples: int) -> Batch:
    return _mixer.batch(seed, step, share, samples)
