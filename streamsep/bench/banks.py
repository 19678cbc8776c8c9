"""Banks to measure: as large as wanted, whatever there is to make them of, and with a hop of another length."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from streamsep.config import Method
from streamsep.models.bank import Bank, BankModel, open_separator
from streamsep.realtime.stft import FrontEnd

HOPS_MS = (2.0, 4.0, 8.0)


def bank_of(paths: Sequence[Path], count: int, method: Method = "masks", sources: int | None = None) -> Bank:
    """So many models: these files in their order, and then the same again under made-up names, each opened by itself.

    The files must be those of one bank, or one file. Raises what `open_separator` raises."""
    models: dict[str, BankModel] = {}
    for index in range(count):
        path = paths[index % len(paths)]
        manifest, separator = open_separator(path, method, sources)
        turn = index // len(paths) + 1
        name = manifest.domain if turn == 1 else f"{manifest.domain}-{turn}"
        models[name] = BankModel(manifest.model_copy(update={"domain": name}), path, separator)
    return Bank(models, next(iter(models.values())).manifest.front_end)


def main_first(bank: Bank, domain: str) -> list[Path]:
    """The files of a bank, this domain's first, the others in the bank's order."""
    others = [model.path for name, model in bank.models.items() if name != domain]
    return [bank.models[domain].path, *others]


def first_of(bank: Bank, count: int) -> Bank:
    """The first models of a bank alone, the very same."""
    return replace(bank, models=dict(list(bank.models.items())[:count]))


def front_ends(own: FrontEnd) -> dict[float, FrontEnd]:
    """By length of the hop in ms, ascending: hops of 2, 4 and 8 ms as far as they divide the models' window, and the
    models' own. At another hop the synthesis window is two hops long.

    A graph does not see how far apart its frames are: with as many bins it takes the same time at any hop. What it
    was trained for is its own, so at another hop the time is right and the sound is not.

    >>> sorted(front_ends(FrontEnd(16_000, 512, 128, 64)))
    [2.0, 4.0, 8.0]
    >>> front_ends(FrontEnd(16_000, 512, 128, 64))[8.0]
    FrontEnd(sample_rate=16000, window=512, synthesis_window=256, hop=128)
    """
    hops = {ms: round(ms / 1000 * own.sample_rate) for ms in HOPS_MS}
    fitting = {
        ms: replace(own, hop=hop, synthesis_window=2 * hop)
        for ms, hop in hops.items()
        if hop and own.window % hop == 0 and 2 * hop <= own.window
    }
    fitting[1000 * own.hop / own.sample_rate] = own
    return dict(sorted(fitting.items()))
