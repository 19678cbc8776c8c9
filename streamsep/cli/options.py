"""The options that several commands share, and the settings they add up to."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamsep.config import Settings, load_settings, merge, parse_overrides
from streamsep.errors import AudioError, ConfigError
from streamsep.plausible import MOST_CHANNELS
from streamsep.realtime.masking import SILENT_DB, gain_db_of
from streamsep.realtime.resample import HIGHEST_HZ, LOWEST_HZ

if TYPE_CHECKING:
    from streamsep.arrays import Block as Sound


def named(text: str) -> Path:
    """A folder or file to write to: an empty name, which a shell makes of a variable that is not set, would be the
    current folder. Raises BadParameter."""
    if not text:
        raise typer.BadParameter("expected a name, got an empty one; the current folder is .")
    return Path(text)


Config = Annotated[str, typer.Option("--config", metavar="NAME|FILE", help="A named configuration, or a YAML file.")]
Domain = Annotated[
    str | None,
    typer.Option(
        "--domain",
        metavar="NAME",
        help="Kind of mixture, see `streamsep models`; auto: by confidence.",
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one setting, as in gains_db.noise=-30; may be repeated."),
]
DEVICE = "NAME|NUMBER"
LONGEST_BLOCK = 8192  # samples
Api = Annotated[
    str | None,
    typer.Option(
        "--api", metavar="NAME", help="Host API of the devices: a part of its name; see `streamsep devices`."
    ),
]
Source = Annotated[
    str | None, typer.Option("--input", metavar=DEVICE, help="What to listen to: a part of its name, or its number.")
]
Sink = Annotated[
    str | None, typer.Option("--output", metavar=DEVICE, help="What to play on: a part of its name, or its number.")
]
Channels = Annotated[
    int | None, typer.Option(min=1, max=MOST_CHANNELS, help="Of both devices; by default at most 2.")
]
Block = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=LONGEST_BLOCK,
        help="Samples a callback; 0: as the device likes, which is best on JACK and PipeWire.",
        show_default="the configuration's",
    ),
]
Rate = Annotated[
    int | None,
    typer.Option(min=LOWEST_HZ, max=HIGHEST_HZ, help="Hz, any common one; by default the output device's."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for a program to read.")]


def samples_a_block(asked: int | None, settings: Settings) -> int | None:
    """What to ask the device for: 0, as it likes; None, the shortest that it takes."""
    return None if asked is None and settings.live.smallest_block else asked or 0


def chosen(
    config: str, domain: str | None, changes: list[str] | None, given: Mapping[str, Any] | None = None
) -> Settings:
    """The settings of a command line: the configuration, what else is given, then `--set`, then `--domain`. Raises
    ConfigError."""
    overrides = merge(given or {}, parse_overrides(changes or []))
    return load_settings(config, overrides | ({} if domain is None else {"domain": domain}))


def leave_alone(changes: list[str] | None, decided: Mapping[str, str]) -> None:
    """Raises ConfigError where `--set` names a key that something else decides. decided: the reason, by key."""
    said = parse_overrides(changes or [])
    for key, reason in decided.items():
        section, _, name = key.rpartition(".")
        there = said.get(section, {}) if section else said
        if isinstance(there, Mapping) and name in there:
            raise ConfigError(f"--set {key}: {reason}")


def read_sound(path: Path) -> "tuple[Sound, int]":
    """The sound file of a command line, as `audio.files.read` reads it, and its rate in Hz, which the engine takes.

    Raises AudioError."""
    from streamsep.audio import files

    samples, rate = files.read(path)
    if not LOWEST_HZ <= rate <= HIGHEST_HZ:
        raise AudioError(f"{path}: expected a rate of {LOWEST_HZ} to {HIGHEST_HZ} Hz, got {rate}; resample it first")
    return samples, rate


def writable(file: Path | None) -> None:
    """Nothing is measured before there is a place for the report of `--json FILE`. Raises StreamsepError."""
    from streamsep import whole_files

    if file is None:
        return
    try:
        if not file.resolve().parent.is_dir():
            raise ConfigError(f"--json: {file.parent} is not a folder")
        if file.is_dir():
            raise ConfigError(f"--json: {file} is a folder; name a file")
        if file.is_file() or not file.exists():
            whole_files.prepare(file.resolve().parent)
    except OSError as error:
        raise ConfigError(f"--json: {file}: cannot be written: {error.strerror}") from None


def nothing_to_hear(settings: Settings, heard: Mapping[str, Sequence[str]]) -> str | None:
    """A remark where all that is heard is the input, because the sources of every domain are as loud as each other.
    heard: names of the slots, by domain."""
    all_gains_db: list[float] = []
    for names in heard.values():
        gains_db = {gain_db_of(name, settings.gains_db) for name in names}
        if len(gains_db) > 1 or max(gains_db) <= SILENT_DB:
            return None
        all_gains_db += gains_db
    if not heard:
        return None
    said = " and ".join(f"all gains of {name} are {db:g} dB" for name, db in zip(heard, all_gains_db, strict=True))
    how = ", as loud as that" if any(all_gains_db) else ""
    return f"{said}: what is heard is the input{how}; try --set gains_db.{names[-1]}=-30"
