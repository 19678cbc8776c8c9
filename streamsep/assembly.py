"""The only module that knows every part: settings in; bank, engine and monitor out."""

import sys
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from streamsep.config import Settings, load_settings
from streamsep.errors import ConfigError
from streamsep.models.bank import Bank, look_back_graphs, open_bank, open_look_backs
from streamsep.models.loader import Batch
from streamsep.models.manifest import Manifest
from streamsep.monitor.activity import ActivityOptions
from streamsep.monitor.belief import BeliefOptions
from streamsep.monitor.evaluation import Evaluation
from streamsep.monitor.guardian import HANG_S, Guardian
from streamsep.monitor.inline import InlineMonitor
from streamsep.monitor.judge import ConfidenceJudge, JudgeOptions
from streamsep.monitor.policy import PolicyOptions
from streamsep.monitor.shared import Layout
from streamsep.realtime.engine import AUTO, Engine
from streamsep.realtime.hand_over import Monitor
from streamsep.realtime.howl import HowlGuard
from streamsep.realtime.masking import slot_names
from streamsep.realtime.options import EngineOptions
from streamsep.realtime.overload import SLOWER

Tell = Callable[[str], object]


def fitting_bank(settings: Settings) -> Bank:
    """The bank of these settings, before anybody looks for a sound card. Raises ConfigError or ModelError, also for a
    domain or a source that it does not have."""
    bank = open_bank(**settings.models.model_dump())
    if settings.domain not in (AUTO, *bank.domains):
        raise ConfigError(f"domain: unknown domain {settings.domain!r}; this bank has {sorted(bank.domains)}")
    known_gains(settings, bank)
    return bank


def build(
    settings: Settings,
    rate: int,
    channels: int,
    tell: Tell = lambda status: None,
    look: Callable[[Evaluation], object] | None = None,
    first: str | None = None,
    bank: Bank | None = None,
) -> tuple[Engine, Bank, Guardian | None]:
    """An engine, the bank it runs and, if the domain is "auto", the monitor in a process of its own that goes with
    it. tell: called with a sentence for the user whenever something becomes of that process, in another thread.
    look: called with everything that it sees, in a third. first: the domain to begin with, where the monitor chooses.
    bank: of these settings, where it is open already.

    Raises ConfigError or ModelError."""
    bank = bank or open_bank(**settings.models.model_dump())
    if settings.domain != AUTO:
        return make_engine(settings, bank, rate, channels, None), bank, None
    if sys.platform == "win32":
        known = sorted(bank.domains)
        raise ConfigError(f"domain: live, 'auto' needs Linux or macOS; name one of {known}. Files can have it")
    watching = settings.monitor
    judge = make_judge(settings, {domain: graph.manifest for domain, graph in open_look_backs(bank).items()})
    guardian = Guardian(
        {domain: model.manifest for domain, model in bank.models.items()},
        look_back_graphs(bank),
        judge,
        every_s=watching.every_s,
        look_back_s=watching.look_back_s,
        loudest=watching.loudest,
        window_s=watching.look_back_s + SLOWER * watching.every_s + 2.0,
        hang_s=HANG_S + SLOWER * watching.every_s,
        tell=tell,
        look=look,
    )
    try:
        engine = make_engine(settings, bank, rate, channels, guardian, first)
    except BaseException:
        guardian.close()
        raise
    guardian.start()
    weakref.finalize(engine, guardian.let_go)  # of an engine that nobody has closed
    return engine, bank, guardian


def build_inline(settings: Settings, rate: int, channels: int) -> tuple[Engine, Bank, InlineMonitor | None]:
    """The same for files: the monitor, if any, looks when it is told to, so that everything can be repeated."""
    bank = open_bank(**settings.models.model_dump())
    monitor = make_inline(settings, open_look_backs(bank)) if settings.domain == AUTO else None
    return make_engine(settings, bank, rate, channels, monitor), bank, monitor


def make_inline(settings: Settings, graphs: Mapping[str, Batch]) -> InlineMonitor:
    """A monitor that has no process; graphs: look-back graphs by domain, in the bank's order. Raises ConfigError or
    ModelError."""
    layout = Layout({domain: graph.manifest.states for domain, graph in graphs.items()})
    judge = make_judge(settings, {domain: graph.manifest for domain, graph in graphs.items()})
    watching = settings.monitor
    return InlineMonitor(graphs, layout, judge, watching.every_s, watching.look_back_s, watching.loudest)


def make_judge(settings: Settings, manifests: Mapping[str, Manifest]) -> ConfidenceJudge:
    """manifests: of the look-back graphs by domain. Raises ConfigError when one is not calibrated."""
    calibrations = {}
    for domain, manifest in manifests.items():
        if manifest.calibration is None:
            raise ConfigError(
                f"domain: 'auto' compares what the models promise, and the model for {domain!r} has no calibration; "
                f"name one of {sorted(manifests)}, or calibrate the bank with export.calibrate"
            )
        calibrations[domain] = manifest.calibration
    values = settings.monitor.model_dump()
    options = JudgeOptions(
        values["look_back_s"],
        values["points"],
        values["hardness"],
        ActivityOptions(**{name: values[name] for name in ActivityOptions.__dataclass_fields__}),
        BeliefOptions(**{name: values[name] for name in BeliefOptions.__dataclass_fields__}),
        PolicyOptions(**{name: values[name] for name in PolicyOptions.__dataclass_fields__}),
    )
    rate = next(iter(manifests.values())).sample_rate
    sources = {domain: len(manifest.sources) for domain, manifest in manifests.items()}
    return ConfidenceJudge(sources, calibrations, rate, options)


def make_engine(
    settings: Settings, bank: Bank, rate: int, channels: int, monitor: Monitor | None, first: str | None = None
) -> Engine:
    """An engine around the bank's separators. first: the domain to begin with; None: the one that is set."""
    options = EngineOptions(
        gains_db=known_gains(settings, bank),
        dry_floor_db=settings.dry_floor_db,
        fade_ms=settings.fade_ms,
        warm_up_ms=settings.warm_up_ms,
        gain_ramp_ms=settings.gain_ramp_ms,
        full_band=settings.full_band,
        **settings.limiter.model_dump(),
        **settings.latency.model_dump(),
    )
    return Engine(bank.separators(), bank.front_end, options, first or settings.domain, rate, channels, monitor)


def make_guard(settings: Settings, rate: int, channels: int) -> HowlGuard | None:
    """What keeps live sound from howling, after the engine; None if it is not wanted."""
    if not settings.live.howl_guard:
        return None
    return HowlGuard(rate, channels, settings.limiter.ceiling_db, settings.live.start_db)


def known_gains(settings: Settings, bank: Bank) -> dict[str, float]:
    """The gains that some source of this bank answers to; the defaults name roles of domains that a bank may lack.

    Raises ConfigError for a name that is neither a source of this bank nor one of the defaults."""
    names: set[str] = set()
    for separator in bank.separators().values():
        names.update(separator.sources, slot_names(separator.sources))
    usual = load_settings().gains_db
    if unknown := sorted(settings.gains_db.keys() - names - usual.keys()):
        raise ConfigError(f"gains_db: no source is called {unknown[0]!r}; this bank has {sorted(names)}")
    return {name: gain_db for name, gain_db in settings.gains_db.items() if name in names}


def load(
    config: str | Path | Mapping[str, Any] = "default",
    domain: str | None = None,
    rate: int = 16_000,
    channels: int = 1,
    **settings: Any,
) -> Engine:
    """An engine, ready to process.

    config: a name ("default"), a YAML file, or a mapping. domain: overrides the configuration's; with "auto" a
    process of its own watches over the domain until the engine is closed or let go of. rate: of the sound, in Hz,
    8000 to 192000. settings: keys of configs/default.yaml, `load(fade_ms=200, gains_db={"noise": -30})`. Raises
    ConfigError or ModelError, with what would be right."""
    return build(settings_of(config, domain, settings), rate, channels)[0]


def settings_of(config: str | Path | Mapping[str, Any], domain: str | None, settings: Mapping[str, Any]) -> Settings:
    """The configuration, then the settings, then the domain. Raises ConfigError."""
    return load_settings(config, dict(settings) | ({} if domain is None else {"domain": domain}))
