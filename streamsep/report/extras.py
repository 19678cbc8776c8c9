"""The packages of the extra "evaluate", which are imported when they are first needed."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from streamsep.errors import ConfigError

PACKAGES = ("fast_bss_eval", "matplotlib", "scipy", "sklearn")


def package(name: str) -> Any:
    """A module by its full name. Raises ConfigError that says where to get it."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise _missing(error.name) from None


def require() -> None:
    """Raise ConfigError unless all of them are there: now, and not after half an hour."""
    for name in PACKAGES:
        if find_spec(name) is None:
            raise _missing(name)


def _missing(name: str | None) -> ConfigError:
    return ConfigError(f'evaluate needs {name}, which is not installed: pip install "streamsep[evaluate]"')
