"""A real JACK server with its dummy driver: a sound card's clock and ports without a sound card."""

import ctypes
import os
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NO_START_SERVER, SERVER_NAME = 0x01, 0x04  # JackOptions of jack/types.h
START_LIMIT_S = 20.0
END_LIMIT_S = 30.0  # one that is killed stays one of the eight servers that JACK can know
QUIET = ctypes.CFUNCTYPE(None, ctypes.c_char_p)(lambda message: None)  # that there is no server yet is no news


def sound_environment(server: str) -> dict[str, str]:
    """The environment of a program that is to find this JACK server and to start no other."""
    return os.environ | {"JACK_DEFAULT_SERVER": server, "JACK_NO_START_SERVER": "1"}


@contextmanager
def jack_server(
    rate: int = 48_000, period: int = 1024, name: str = "", options: tuple[str, ...] = ()
) -> Iterator[dict[str, str]]:
    """Runs a server with two capture and two playback ports; gives the environment that leads a program to it. name:
    that of one that has ended, to take its place. options: more of them for jackd."""
    name = name or f"tested-{uuid.uuid4().hex[:8]}"
    environment = sound_environment(name)
    command = ["jackd", "--name", name, "--no-realtime", *options]
    command += ["-d", "dummy", "--rate", str(rate), "--period", str(period)]
    with tempfile.TemporaryFile("w+") as said:  # no pipe: a server with many xruns to tell of fills it, and waits
        server = subprocess.Popen(command, env=environment, stdout=said, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + START_LIMIT_S
            while not answers(name):
                if server.poll() is not None or time.monotonic() > deadline:
                    said.seek(0)
                    raise RuntimeError(f"jackd did not start: {said.read()}")
                time.sleep(0.05)
            yield environment
        finally:
            server.terminate()
            try:
                server.wait(timeout=END_LIMIT_S)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
            for left in Path("/dev/shm").glob(f"jack_sem.*{name}*"):  # by clients that outlived it
                left.unlink()


def set_period(name: str, period: int) -> None:
    """Make a server hand over blocks of another length."""
    jack = ctypes.CDLL("libjack.so.0")
    jack.jack_client_open.restype = ctypes.c_void_p
    jack.jack_set_buffer_size.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
    jack.jack_client_close.argtypes = [ctypes.c_void_p]
    status = ctypes.c_int()
    client = jack.jack_client_open(b"period", NO_START_SERVER | SERVER_NAME, ctypes.byref(status), name.encode())
    jack.jack_set_buffer_size(client, period)
    jack.jack_client_close(client)


def answers(name: str) -> bool:
    """Whether a server of this name takes clients."""
    jack = ctypes.CDLL("libjack.so.0")
    jack.jack_set_error_function(QUIET)
    jack.jack_client_open.restype = ctypes.c_void_p
    jack.jack_client_close.argtypes = [ctypes.c_void_p]
    status = ctypes.c_int()
    client = jack.jack_client_open(b"ready", NO_START_SERVER | SERVER_NAME, ctypes.byref(status), name.encode())
    if client:
        jack.jack_client_close(client)
    return bool(client)
