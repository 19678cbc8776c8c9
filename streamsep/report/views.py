"""One mixture under every model of a bank, whole: what it embeds, how it masks, and how well that separates."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamsep.errors import ModelError
from streamsep.evaluation.lists import Mixture
from streamsep.evaluation.metrics import best_order, si_sdr_improvement_db
from streamsep.evaluation.references import analyse, synthesise
from streamsep.report.rendering import Opened, all_frames


@dataclass(frozen=True)
class Separated:
    """One mixture through one model; frame t ends with hop t."""

    masks: NDArray[np.float32]  # (frames, slots, bins), in the model's order
    si_sdri_db: float  # in the best order, mean over the slots; nan where a source is silent


@dataclass(frozen=True)
class View(Separated):
    """The same, and where the model puts its bins."""

    embeddings: NDArray[np.float32]  # (frames, bins, dims)


def spectrum_of(bank: Opened, mixture: Mixture) -> NDArray[np.complex128]:
    """(frames, bins)."""
    return analyse(bank.front_end, mixture.sources.sum(axis=0))


def separated(bank: Opened, model: str, mixture: Mixture, spectrum: NDArray[np.complex128]) -> Separated:
    """By the model of this domain. Raises ModelError when it is for another number of sources.

    The slots of a model for another domain mean nothing here, and may come in any order."""
    roles, total = bank.roles[model], mixture.sources.sum(axis=0)
    if len(roles) != len(mixture.sources):
        raise ModelError(f"{mixture.name} has {len(mixture.sources)} sources, the model of {model!r} {len(roles)}")
    masks = all_frames(bank.steps[model], spectrum)
    slots = synthesise(bank.front_end, masks.swapaxes(0, 1) * spectrum, len(total))
    order = best_order(slots, mixture.sources, roles if model == mixture.domain else [""] * len(roles))
    pairs = zip(order, mixture.sources, strict=True)
    gains_db = [si_sdr_improvement_db(slots[slot], source, total) for slot, source in pairs]
    return Separated(masks, float(np.mean(gains_db)))


def view(bank: Opened, model: str, mixture: Mixture, spectrum: NDArray[np.complex128]) -> View:
    """The same, with the embeddings."""
    found = separated(bank, model, mixture, spectrum)
    return View(found.masks, found.si_sdri_db, all_frames(bank.look_backs[model], spectrum))
