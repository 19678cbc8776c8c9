"""The README's code for a sound card of one's own program, on a real JACK server."""

import subprocess
import sys
import time
from pathlib import Path

from jack_server import jack_server
from test_package import SOUND_CARD, fenced

README = Path(__file__).parents[1] / "README.md"


def test_the_code_for_a_sound_card_plays_until_enter() -> None:
    (code,) = (code for code in fenced(README, "python") if SOUND_CARD in code)
    told = "import atexit; atexit.register(lambda: print(engine.counters.hops))\n"
    with (
        jack_server(rate=48_000, period=512) as environment,
        subprocess.Popen(
            [sys.executable, "-c", told + code],
            env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as player,
    ):  # fmt: skip
        assert player.stdout is not None
        assert player.stdout.read(len("Enter ends it")) == "Enter ends it"
        time.sleep(1)
        said, complained = player.communicate("\n", timeout=60)
    assert player.returncode == 0, complained
    assert int(said) > 100
    assert "Traceback" not in complained
