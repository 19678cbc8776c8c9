"""What an engine can be set to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class EngineOptions:
    """The engine's settings; configs/default.yaml explains each. Gains and levels in dB, times in ms."""

    gains_db: Mapping[str, float] = field(default_factory=dict)  # by role or by slot name; 0 dB where nothing is said
    dry_floor_db: float = -120.0
    fade_ms: float = 100.0
    warm_up_ms: float = 500.0
    gain_ramp_ms: float = 20.0
    ceiling_db: float = -1.0
    release_ms: float = 80.0
    look_ahead_ms: float = 0.0
    true_peak: bool = False
    path: Literal["window", "minimum-phase"] = "window"
    synthesis_ms: float | None = None  # of the window path; None: as the models were trained
    full_band: bool = True  # the same
    taps: int = 128  # of the minimum-phase path
