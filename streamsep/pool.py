"""Processes that share the work of measuring: they end with the one that started them, however that was ended."""

import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process


def pool_of(processes: int) -> ProcessPoolExecutor:
    """So many, to be used in a `with`. "spawn", because a process that holds ONNX Runtime's threads must not be
    forked."""
    return ProcessPoolExecutor(processes, get_context("spawn"), _begin)


def _begin() -> None:
    """In a process of the pool: it ends when the one that started it does, however that was killed. Ctrl-C is for
    that one: what is under way is finished, and kept."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
