"""Which domain is it? What one look says, and all looks before it, put together. Pure: the clock is an argument.

The forward pass of a hidden Markov model whose hidden state is the domain (Rabiner 1989): a domain lasts for a while
and may then change into any other, and every look says how likely each of them is. One look is often wrong and says
so, by being undecided; many that agree are soon as good as certain, and a certain one needs no company. A running
mean of estimates, which weighs all looks alike, is slower for as many wrong switches.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp

from streamsep.errors import ConfigError

LONGEST_STEP_S = 1.0  # a look says no more than about this long
LEAST = 1e-6  # no look rules a domain out

Belief = Mapping[str, float]  # by domain: how likely it is; they sum to 1


@dataclass(frozen=True)
class BeliefOptions:
    """How much is believed. Raises ConfigError for a value out of range.

    The defaults were chosen on validation scenes (`export.tune_policy`)."""

    stay_s: float = 10.0  # how long a domain lasts on average, 0.1 to 1000 s
    # What a second of looks says, in looks that know nothing of each other, 0 to 10. Every look hears much of what
    # the one before it heard, so this does not depend on how many there are.
    evidence_per_s: float = 1.3

    def __post_init__(self) -> None:
        for name, (least, most) in {"stay_s": (0.1, 1000), "evidence_per_s": (0, 10)}.items():
            if not least <= (value := getattr(self, name)) <= most:
                raise ConfigError(f"{name} must be between {least} and {most}, got {value}")


def believe(
    before: Belief | None, seen: Mapping[str, float] | None, step_s: float, options: BeliefOptions
) -> Belief | None:
    """The belief after one more look.

    before: None: nothing is known yet. seen: how likely every domain is by this look alone; None where there was
    nothing to judge: then old knowledge ages, and that is all. step_s: seconds since the look before.

    >>> even = BeliefOptions(stay_s=1000, evidence_per_s=2)
    >>> after = believe(None, {"noise": 0.9, "music": 0.1}, 0.5, even)
    >>> round(after["noise"], 3), round(believe(after, {"noise": 0.9, "music": 0.1}, 0.5, even)["noise"], 3)
    (0.9, 0.988)
    """
    if before is None:
        if seen is None:
            return None
        before = dict.fromkeys(seen, 1 / len(seen))
    stayed = exp(-max(step_s, 0.0) / options.stay_s)
    expected = {domain: stayed * share + (1 - stayed) / len(before) for domain, share in before.items()}
    if seen is None:
        return expected
    weight = options.evidence_per_s * min(max(step_s, 0.0), LONGEST_STEP_S)
    joint = {domain: share * max(seen[domain], LEAST) ** weight for domain, share in expected.items()}
    total = sum(joint.values())
    return {domain: value / total for domain, value in joint.items()}
