"""A real PulseAudio server with sinks that nobody hears: what "default" leads to on most desktops, by way of ALSA."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_LIMIT_S = 20.0
ALSA = "pcm.pulse { type pulse }\n"  # the device by whose name PortAudio finds the server


@contextmanager
def pulse_server(folder: Path) -> Iterator[dict[str, str]]:
    """Runs a server of its own in a folder, with a microphone in which there is silence; gives the environment that
    leads a program to it, and to no JACK server."""
    socket = folder / "socket"
    (folder / ".asoundrc").write_text(ALSA)
    own = {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "PULSE_SERVER": f"unix:{socket}"}
    environment = os.environ | own | {"JACK_NO_START_SERVER": "1", "JACK_DEFAULT_SERVER": "no-such-server"}
    modules = [
        f"module-native-protocol-unix socket={socket} auth-anonymous=1",
        "module-null-sink sink_name=microphone rate=48000",
        "module-null-sink sink_name=ears rate=48000",
    ]
    command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"]
    command += [f"--load={module}" for module in modules]
    server = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder
    )
    try:
        deadline = time.monotonic() + START_LIMIT_S
        wanted = ["set-default-source microphone.monitor", "set-default-sink ears"]
        while wanted:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("pulseaudio did not start")
            done = subprocess.run(["pactl", *wanted[0].split()], env=environment, capture_output=True, check=False)
            if done.returncode == 0:
                wanted.pop(0)
            else:
                time.sleep(0.1)
        yield environment
    finally:
        server.terminate()
        server.wait()
