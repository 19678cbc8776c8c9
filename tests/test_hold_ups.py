"""Who was to blame for a gap: JACK that did not ask, or the process that did not come."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from streamsep.audio.hold_ups import HoldUps

PERIODS = st.sampled_from([64, 128, 256, 1000, 1024])
SHARES = st.floats(0.05, 1.0)  # of a period: the block that PortAudio cuts it into; 1: it does not


def pieces(period: int, block: int) -> Iterator[int]:
    """How many blocks PortAudio makes of every period; what is left over waits for the next."""
    left = 0
    while True:
        left += period
        yield left // block
        left %= block


class Server:
    """Asks for a period, by its count of samples, and is given that in blocks."""

    def __init__(self, period: int, share: float) -> None:
        self.period, self.block = period, max(1, round(share * period))
        self.hold_ups, self.count, self.moment_s = HoldUps(), 10 * period, 0.0
        self.hold_ups.asked = lambda: self.count
        self._pieces = pieces(period, self.block)

    def ask(self, periods: int) -> bool:
        """After so many: whether we have missed any. Its clock says anything."""
        self.count, self.moment_s = self.count + periods * self.period, self.moment_s - 1.0
        said = []
        for piece in range(next(self._pieces)):
            assert self.hold_ups.begin(self.moment_s, self.block) == (piece == 0)
            said.append(self.hold_ups.missed(self.block))
        assert len(set(said)) == 1
        return said[0]


@given(period=PERIODS, share=SHARES, before=st.integers(1, 20), lost=st.integers(2, 40))
def test_when_jack_asks_and_nobody_comes_we_are_to_blame(period: int, share: float, before: int, lost: int) -> None:
    """It tells of the gap with the first callback afterwards or with the second."""
    server = Server(period, share)
    assert not any(server.ask(1) for _ in range(before))
    assert server.ask(1 + lost)
    assert server.ask(1)
    assert not any(server.ask(1) for _ in range(9))


@given(period=PERIODS, before=st.integers(1, 20))
def test_a_single_period_that_was_missed_is_enough_where_nothing_is_cut(period: int, before: int) -> None:
    server = Server(period, 1.0)
    assert [server.ask(periods) for periods in (*[1] * before, 2, 1, 1)] == [*[False] * before, True, True, False]


@given(period=PERIODS, share=SHARES, before=st.integers(1, 20))
def test_when_jack_is_late_itself_it_has_asked_for_no_more_than_it_got(
    period: int, share: float, before: int
) -> None:
    """Though after that it may be a period ahead, as long as it takes us to begin."""
    server = Server(period, share)
    assert not any(server.ask(1) for _ in range(before))
    server.ask(2)
    assert not server.ask(0)
    assert not any(server.ask(1) for _ in range(9))


def test_of_a_device_that_counts_nothing_nothing_is_said() -> None:
    hold_ups = HoldUps()
    assert [hold_ups.begin(moment_s, 64) for moment_s in (0.0, 0.0, 5.0)] == [True, False, True]
    assert not hold_ups.missed(64)
