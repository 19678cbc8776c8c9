"""How loud live sound may become is settled before it begins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import gains_db

from streamsep.assembly import make_guard
from streamsep.config import load_settings
from streamsep.live.caution import capped


@given(st.dictionaries(st.sampled_from(["speech", "noise", "vocals"]), gains_db), st.floats(0, 24))
def test_no_gain_is_above_what_is_allowed_and_the_others_stay(gains, most_db):
    settings = load_settings(overrides={"gains_db": gains, "live": {"most_gain_db": most_db}})
    held, remark = capped(settings)
    above = [name for name, gain_db in settings.gains_db.items() if gain_db > most_db]
    assert held.gains_db == {name: min(gain_db, most_db) for name, gain_db in settings.gains_db.items()}
    assert (remark is None) == (not above)
    assert all(name in str(remark) for name in above)


@pytest.mark.parametrize("start_db", [-30.0, 0.0])
def test_the_guard_begins_as_the_settings_say_and_is_left_out_when_they_say_so(start_db):
    settings = load_settings(overrides={"live": {"start_db": start_db}})
    guard = make_guard(settings, 48_000, 2)
    assert guard is not None
    assert guard.gain == pytest.approx(10 ** (start_db / 20))
    assert make_guard(load_settings(overrides={"live": {"howl_guard": False}}), 48_000, 2) is None
