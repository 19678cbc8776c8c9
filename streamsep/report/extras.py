"""The packages of the extras "evaluate", "hearing" and "figures", which are imported when they are first needed."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from streamsep.errors import ConfigError

PACKAGES = ("fast_bss_eval", "matplotlib", "scipy", "sklearn")


def package(name: str, extra: str = "evaluate") -> Any:
    """A module by its full name. Raises ConfigError that says where to get it."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise _missing(error.name, extra) from None


def require() -> None:
    """Raise ConfigError unless all that everything needs are there: now, and not after half an hour."""
    for name in PACKAGES:
        if find_spec(name) is None:
            raise _missing(name, "evaluate")


def _missing(name: str | None, extra: str) -> ConfigError:
    return ConfigError(f'{extra} needs {name}, which is not installed: pip install "streamsep[{extra}]"')
