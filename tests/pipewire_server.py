"""A real PipeWire server with a sink that nobody hears, which takes JACK's clients: what many desktops have today."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_LIMIT_S = 20.0
PERIOD = 256  # samples, at 48 kHz
# Without a session manager the ports of the sink have to be made by itself.
CONFIGURATION = f"""
context.properties = {{
  core.daemon = true core.name = pipewire-0 default.clock.rate = 48000 default.clock.quantum = {PERIOD}
}}
context.spa-libs = {{ audio.convert.* = audioconvert/libspa-audioconvert support.* = support/libspa-support }}
context.modules = [
  {{ name = libpipewire-module-protocol-native }}
  {{ name = libpipewire-module-metadata }}
  {{ name = libpipewire-module-client-node }}
  {{ name = libpipewire-module-access }}
  {{ name = libpipewire-module-adapter }}
  {{ name = libpipewire-module-link-factory }}
]
context.objects = [
  {{ factory = adapter
     args = {{
       factory.name = support.null-audio-sink node.name = ears media.class = Audio/Sink audio.position = [ FL FR ]
       adapter.auto-port-config = {{ mode = dsp monitor = true position = preserve }} }} }}
]
"""


@contextmanager
def pipewire_server(folder: Path) -> Iterator[dict[str, str]]:
    """Runs a server of its own in a folder. Gives the environment that leads a program to it instead of JACK. It has
    one device, `ears`, and what is played to that can be heard from it."""
    (folder / "pipewire.conf").write_text(CONFIGURATION)
    (libraries,) = Path("/usr/lib").glob("*/pipewire-0.3/jack")
    own = {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "LD_LIBRARY_PATH": str(libraries)}
    environment = os.environ | own
    command = ["pipewire", "-c", str(folder / "pipewire.conf")]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_LIMIT_S
        while b"ears:monitor_FR" not in subprocess.run(["jack_lsp"], env=environment, capture_output=True).stdout:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("pipewire did not start")
            time.sleep(0.1)
        yield environment
    finally:
        server.kill()
        server.wait()
