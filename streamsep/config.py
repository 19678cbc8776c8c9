"""Settings: a YAML file and `key=value` overrides in, checked values out, or an error that names the file and the
key.

configs/default.yaml documents every key. What a model file says (rates, windows, sources) is never a setting.
"""

import difflib
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from streamsep.errors import ConfigError


def no_switch(value: object, hint: str = "") -> object:
    """What YAML reads as true or false is no number, though Python takes them for 1 and 0. Raises ValueError."""
    if isinstance(value, bool):
        words = "on and yes as true" if value else "off and no as false"
        raise ValueError(f"expected a number, got {value} (YAML reads {words}{hint})")
    return value


Number = Annotated[float, BeforeValidator(no_switch)]
Count = Annotated[int, BeforeValidator(no_switch)]
Decibels = Annotated[
    float,
    Field(ge=-120, le=24, allow_inf_nan=False),
    BeforeValidator(partial(no_switch, hint="; -120 is silent")),
]
Method = Literal["masks", "clusters"]
HERE = Path(__file__).parent


class ContradictionError(ValueError):
    """Two keys that do not go together. Whether they do is only known when all sources are merged."""


class Section(BaseModel):
    """Common to all sections: unknown keys are errors, and nothing changes after the check."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LimiterSettings(Section):
    """The last thing before the ears."""

    ceiling_db: Number = Field(-1.0, ge=-40, le=0)
    release_ms: Number = Field(80.0, ge=1, le=5000)
    look_ahead_ms: Number = Field(0.0, ge=0, le=20)
    true_peak: bool = False


class LatencySettings(Section):
    """How late the sound is, and what that costs."""

    path: Literal["window", "minimum-phase"] = "window"
    synthesis_ms: Literal[8, 4, 2] | None = None
    taps: Count = Field(128, ge=64, le=256)

    @model_validator(mode="after")
    def _no_window_where_there_is_none(self) -> "LatencySettings":
        if self.path == "minimum-phase" and self.synthesis_ms is not None:
            raise ContradictionError(f"synthesis_ms must be null with path: minimum-phase, got {self.synthesis_ms}")
        return self


class ModelSettings(Section):
    """Which models."""

    bank: str = "zoo"
    precision: Literal["int8", "fp32"] = "int8"
    method: Method = "masks"
    sources: Count | None = Field(None, ge=2, le=8)


class MonitorSettings(Section):
    """Which domain is right, and when to go over to it."""

    every_s: Number = Field(0.5, ge=0.1, le=10)
    look_back_s: Number = Field(1.5, ge=1, le=4)
    loudest: Number = Field(0.01, gt=0, le=1)
    points: Count = Field(1000, ge=10, le=10_000)
    hardness: Number = Field(1.0, gt=0, le=100)
    floor_dbfs: Number = Field(-60.0, ge=-120, le=0)
    active_share: Number = Field(0.25, ge=0, le=1)
    stay_s: Number = Field(10.0, ge=0.1, le=1000)
    evidence_per_s: Number = Field(1.3, ge=0, le=10)
    smoothing_s: Number = Field(0.5, ge=0, le=30)
    margin_db: Number = Field(0.5, ge=0, le=20)
    hysteresis_db: Number = Field(0.3, ge=0, le=20)
    dwell_s: Number = Field(0.0, ge=0, le=30)
    apart_s: Number = Field(0.8, ge=0, le=60)
    floor_db: Number | None = Field(1.0, ge=-20, le=20)
    fall_back_s: Number = Field(8.0, ge=0, le=60)

    @model_validator(mode="after")
    def _hysteresis_fits(self) -> "MonitorSettings":
        if self.hysteresis_db > self.margin_db:
            raise ContradictionError(
                f"hysteresis_db must be at most margin_db, {self.margin_db}, got {self.hysteresis_db}"
            )
        return self


class LiveSettings(Section):
    """What protects the listener while sound is live, and how often it is handed over."""

    howl_guard: bool = True
    start_db: Number = Field(-30.0, ge=-40, le=0)
    most_gain_db: Number = Field(12.0, ge=0, le=24)
    smallest_block: bool = False


class Settings(Section):
    """Everything a person can set; see configs/default.yaml."""

    domain: str = "auto"
    gains_db: dict[str, Decibels] = Field(default_factory=dict)
    dry_floor_db: Number = Field(-120.0, ge=-120, le=0)
    fade_ms: Number = Field(100.0, ge=20, le=1000)
    warm_up_ms: Number = Field(500.0, ge=0, le=5000)
    gain_ramp_ms: Number = Field(20.0, ge=0, le=1000)
    full_band: bool = True
    limiter: LimiterSettings = LimiterSettings()
    latency: LatencySettings = LatencySettings()
    models: ModelSettings = ModelSettings()
    monitor: MonitorSettings = MonitorSettings()
    live: LiveSettings = LiveSettings()

    @model_validator(mode="after")
    def _no_band_to_leave_out_without_a_window(self) -> "Settings":
        if not self.full_band and self.latency.path == "minimum-phase":
            raise ContradictionError(
                "full_band must be true with latency.path: minimum-phase, whose filter works at the device's rate "
                "and has no band above the models' to leave out; set latency.path: window to have full_band: false"
            )
        return self


def configs_folder() -> Path:
    """Where the named configurations are: inside the installed package, or beside it in a checkout."""
    inside = HERE / "configs"
    return inside if inside.is_dir() else HERE.parent / "configs"


def config_names() -> list[str]:
    """The configurations that can be named."""
    return sorted(path.stem for path in configs_folder().glob("*.yaml"))


def load_settings(
    config: str | Path | Mapping[str, Any] = "default", overrides: Mapping[str, Any] | None = None
) -> Settings:
    """Settings from a named configuration, a YAML file or a mapping; then the overrides. What neither names is
    default.

    Raises ConfigError naming the file, the key, the value and what would be right."""
    default = read_yaml(configs_folder() / "default.yaml")
    if isinstance(config, Mapping):
        source, values = "settings", dict(config)
    else:
        path = find_config(config)
        source, values = str(path), read_yaml(path)
    check(values, source, alone=True)
    merged = merge(default, values)
    if overrides:
        check(overrides, "settings", alone=True)
        merged = merge(merged, overrides)
        source = source if source == "settings" else f"settings on top of {source}"
    check(merged, source)
    return Settings.model_validate(merged)


def find_config(config: str | Path) -> Path:
    """The file of a configuration given by name or path. What can be a name is one, whatever lies in the current
    folder. Raises ConfigError listing the names there are."""
    given = Path(config)
    named = [configs_folder() / f"{config}.yaml"] if given.name == str(config) and not given.suffix else []
    for path in (*named, given):
        try:
            if path.is_file():
                return path
        except OSError as error:  # a name that is too long, a folder that may not be entered
            raise ConfigError(f"{config}: cannot be read: {error.strerror}") from None
    raise ConfigError(f"{config}: no such configuration; give a YAML file or one of {config_names()}")


class OnceEach(yaml.SafeLoader):
    """YAML in which a key is there once: of two, one would be ignored in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Raises ConstructorError, which says where, for a key that is there twice."""
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is there twice", key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else None)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises ConfigError when it cannot be read, is not YAML or not a mapping."""
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), OnceEach)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, or a date that no calendar has
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected keys and values, got {type(values).__name__}")
    return values


def parse_overrides(assignments: Iterable[str]) -> dict[str, Any]:
    """`--set` arguments, "limiter.look_ahead_ms=2", as a nested mapping; values are read as YAML. Raises
    ConfigError."""
    result: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not all(key.split(".")):
            raise ConfigError(f"--set {assignment}: expected KEY=VALUE, for example gains_db.noise=-30")
        try:
            value = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError):  # ValueError: a date that no calendar has
            raise ConfigError(f"--set {assignment}: {text!r} is not a YAML value") from None
        for part in reversed(key.split(".")):
            value = {part: value}
        result = merge(result, value)
    return result


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` on top of `base`, mappings merged key by key."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def check(values: Mapping[str, Any], source: str, alone: bool = False) -> None:
    """Raises ConfigError with every complaint, and the nearest valid key for an unknown one. alone: more is to be
    merged with these values, so nothing is said of keys that contradict each other."""
    try:
        Settings.model_validate(dict(values))
    except ValidationError as error:
        complaints = []
        for item in error.errors():
            key = ".".join(map(str, item["loc"]))
            if item["type"] == "extra_forbidden":
                complaints.append(f"{key}: unknown key{nearest(key)}")
            elif item["type"] == "value_error":  # of our own validators
                reason = item["ctx"]["error"]
                if not (alone and isinstance(reason, ContradictionError)):
                    complaints.append(": ".join(filter(None, (key, str(reason)))))
            else:
                complaints.append(f"{key}: {item['msg']}, got {item['input']!r}")
        if complaints:
            raise ConfigError(f"{source}: " + "; ".join(complaints)) from None


def known_keys(section: type[BaseModel] = Settings, prefix: str = "") -> list[str]:
    """Every key with its dotted path."""
    keys = []
    for name, field in section.model_fields.items():
        keys.append(prefix + name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys += known_keys(field.annotation, f"{prefix}{name}.")
    return keys


def nearest(key: str) -> str:
    """A hint at the key that was probably meant."""
    close = difflib.get_close_matches(key, known_keys(), n=1, cutoff=0.5)
    return f", did you mean {close[0]}?" if close else f"; the keys are {known_keys()}"
