"""Round after round of the same sound is heard alike, and the engine's clocks agree with it; a day of it takes longer
than a test may, see `make nightly`."""

from pathlib import Path

import pytest
import simulated_day
from small_bank import make_bank


@pytest.mark.parametrize("rate", [44_100, 16_000])
def test_every_round_of_the_same_sound_is_heard_alike(rate: int, tmp_path: Path) -> None:
    seen = simulated_day.simulate(4 * simulated_day.ROUND_S / 3600, rate, make_bank(tmp_path / "bank"))
    assert simulated_day.faults(seen) == []
    assert seen["switches"][0] == 15
