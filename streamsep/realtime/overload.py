"""What is given up when the machine cannot keep up, in which order, and when it is taken back. Pure arithmetic.

Level 0: nothing. 1: a fade that runs is finished at once, and none begins. 2: the monitor looks less often. 3: no
model runs, the dry sound is heard, with the same latency.
"""

from streamsep.realtime.contract import audio_thread

FADES_SHORT, MONITOR_SLOW, HIGHEST = 1, 2, 3
SLOWER = 4  # times less often the monitor looks then
LATE_IN_A_ROW = 3  # hops: one may be anybody's fault, three are an overload
SETTLE_S = 0.25  # between two steps up: what was given up needs time to show
RECOVER_S = 5.0  # without hops late in a row, until a step down is tried
LONGEST_RECOVER_S = 80.0  # each time that a step down was a mistake it is tried half as often
FORGIVEN_S = 60.0  # after so long with nothing given up and no such row the first pause counts again


class Overload:
    """One step up when hops are late in a row; one step down after some time without such a row.

    Short callbacks have a hop of the models in every second or third of them only: what lies between two hops costs
    little and says nothing of them."""

    def __init__(self) -> None:
        self.level = 0
        self.worst = 0
        self._late = 0  # hops in a row
        self._since_step_s = SETTLE_S
        self._calm_s = 0.0
        self._pause_s = RECOVER_S
        self._tried = False  # whether the last step was one down

    @audio_thread
    def hear(self, hop: bool, late: bool, seconds: float) -> bool:
        """A callback. hop: the models had one in it, or several; late: it took longer than its sound; seconds: of its
        sound. Whether `level` has changed."""
        self._since_step_s += seconds
        self._calm_s += seconds
        if hop:
            self._late = self._late + 1 if late else 0
            if self._late >= LATE_IN_A_ROW:
                self._calm_s = 0.0
                return self._give_up()
        return self._take_back()

    @audio_thread
    def _give_up(self) -> bool:
        """A step up, if it is time for one."""
        if self._since_step_s < SETTLE_S or self.level == HIGHEST:
            return False
        if self._tried and self._since_step_s < self._pause_s:
            self._pause_s = min(2.0 * self._pause_s, LONGEST_RECOVER_S)
        self._step(self.level + 1, tried=False)
        self.worst = max(self.worst, self.level)
        return True

    @audio_thread
    def _take_back(self) -> bool:
        """A step down, if it is time for one."""
        if self.level == 0:
            if self._calm_s >= FORGIVEN_S:
                self._pause_s = RECOVER_S
            return False
        if min(self._calm_s, self._since_step_s) < self._pause_s:
            return False
        self._step(self.level - 1, tried=True)
        return True

    @audio_thread
    def _step(self, level: int, tried: bool) -> None:
        self.level, self._tried = level, tried
        self._since_step_s, self._late = 0.0, 0
