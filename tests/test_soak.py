"""A minute of live sound with a switch every few seconds: nothing drifts, grows, or is left behind."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from calibrated import make_calibrated_bank, promising
from soak import grown, too_many


def test_a_minute_of_switching_leaves_everything_as_it_was(tmp_path: Path) -> None:
    bank = make_calibrated_bank(tmp_path / "bank", music=promising(0.0, balance=1.0), noise=promising(1.0))
    script = (
        "import json, soak; "
        f"models = {{'bank': {str(bank)!r}, 'precision': 'fp32'}}; "
        "seen = soak.soak(60, 1, 1024, {'domain': 'auto', 'models': models}, 1); "
        "print(json.dumps([soak.faults(turn) for turn in seen['separating']] + [seen['separating'][0]['summary']]))"
    )
    tests = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tests, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    found, summary = json.loads(done.stdout)
    assert found == []
    assert summary["switches"] >= 10
    assert summary["decisions"] > 20


@pytest.mark.parametrize(("ours", "bearable"), [(0, True), (24, True), (25, False), (1000, False)])
def test_more_gaps_than_another_program_had_in_its_time_are_too_many(ours: int, bearable: bool) -> None:
    found = too_many(ours, seconds=1200.0, theirs=11, through_s=600.0, bearable_s=600.0)
    assert bool(found) is not bearable
    assert bearable or str(ours) in found[0]


def test_what_grows_is_found_and_what_comes_and_goes_is_not() -> None:
    level = [300_000] * 15
    for at in range(15):
        once = level.copy()
        once[at] = 400_000
        assert grown(once) == (300_000, 300_000)
    first, last = grown([300_000 + 500 * at for at in range(15)])
    assert last - first == 5000
