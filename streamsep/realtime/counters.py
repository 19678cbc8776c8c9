"""What happened on the audio side, as plain numbers: written there, read anywhere."""

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """Each counts from the start or the last reset of the engine."""

    hops: int = 0  # hops processed
    non_finite_hops: int = 0  # hops with NaN or infinity in them: replaced by silence, heard dry
    separator_faults: int = 0  # hops in which a separator raised or gave masks that are not finite: heard dry
    limited_hops: int = 0  # hops in which the limiter turned the sound down
    switches: int = 0  # hand-overs from one domain to another that were finished
    late_hand_overs: int = 0  # warm states that came too late to be used; the monitor sends a newer one

    def clear(self) -> None:
        """Back to nothing."""
        self.hops = self.non_finite_hops = self.separator_faults = self.limited_hops = 0
        self.switches = self.late_hand_overs = 0
