"""How good an estimate of a source is: its distance from the source in dB, and for speech how well it is understood
and liked.

SI-SDR and SD-SDR (Le Roux et al. 2019) are computed here. SDR, STOI, ESTOI and PESQ are computed by the libraries of
the extra "evaluation", which are imported when they are first needed. All functions are pure and compute in float64,
whatever the loudness of either sound. Nothing is centred: an offset is an error like any other.
"""

import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import MetaPathFinder
from itertools import permutations
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from streamsep.errors import AudioError, ConfigError

LIMIT_DB = 100.0  # more than 16-bit sound can hold; keeps means finite
FILTER_TAPS = 512  # of the filter that SDR forgives, as in all of BSS-eval
PESQ_RATE = 16_000  # Hz
SHORTEST_STOI_S = 0.4  # it correlates over 30 frames, 12.8 ms apart
PACKAGES = {"sdr": "fast_bss_eval", "stoi": "pystoi", "estoi": "pystoi", "pesq": "pesq"}  # who computes what


def si_sdr_db(estimate: ArrayLike, source: ArrayLike) -> float:
    """How far the source stands out of everything else in the estimate, whatever the loudness of either, in dB.

    estimate, source: (samples,). The estimate is split into its projection on the source and the rest; the figure is
    the ratio of their energies, kept within +-LIMIT_DB. 0: as much of the source as of everything else; LIMIT_DB: the
    source itself; -LIMIT_DB: nothing of it, and so too for a silent estimate; nan: the source is silent, there is
    nothing to find. Raises AudioError for shapes that differ and for samples that are not finite.

    >>> si_sdr_db([2.0, 2.0], [1.0, 0.0])
    0.0
    """
    heard, wanted = _unit_peaks(estimate, source)
    if not wanted.any():
        return float("nan")
    along = wanted * (heard @ wanted / (wanted @ wanted))
    rest = heard - along
    return _limited_db(float(along @ along), float(rest @ rest))


def sd_sdr_db(estimate: ArrayLike, source: ArrayLike) -> float:
    """As `si_sdr_db`, but an estimate that is too soft or too loud is an error as well: never more.

    The scale-dependent SDR (Le Roux et al. 2019): the projection on the source, against all that keeps the estimate
    from being the source.

    >>> round(sd_sdr_db([2.0, 0.0], [1.0, 0.0]), 2), round(sd_sdr_db([0.5, 0.0], [1.0, 0.0]), 2)
    (6.02, 0.0)
    """
    heard, wanted = _unit_peaks(estimate, source)
    if not wanted.any():
        return float("nan")
    louder = float(np.abs(np.asarray(estimate, np.float64)).max() / np.abs(np.asarray(source, np.float64)).max())
    if louder > 1:
        wanted = wanted / louder
    else:
        heard = heard * louder
    along = wanted * (heard @ wanted / (wanted @ wanted))
    rest = heard - wanted
    return _limited_db(float(along @ along), float(rest @ rest))


def sdr_db(estimate: ArrayLike, source: ArrayLike) -> float:
    """As `si_sdr_db`, but a filter of FILTER_TAPS taps on the source is forgiven, not only a gain: never less.

    This is the SDR of BSS-eval (Vincent, Gribonval & Fevotte 2006), by fast_bss_eval. Raises what `si_sdr_db` raises,
    and ConfigError when that package is missing."""
    _unit_peaks(estimate, source)
    return float(sdrs_db([estimate], [source])[0, 0])


def sdrs_db(estimates: Sequence[ArrayLike], sources: Sequence[ArrayLike]) -> NDArray[np.float64]:
    """`sdr_db` of every estimate against every source, (sources, estimates): quicker than one by one.

    All are (samples,), equally long. Raises as `sdr_db` does."""
    bss = _package("sdr")
    heard = np.stack([_unit_peak(each, "estimate") for each in estimates])
    wanted = np.stack([_unit_peak(each, "source") for each in sources])
    found = np.full((len(wanted), len(heard)), np.nan)
    there = wanted.any(axis=1)
    if there.any():
        with np.errstate(divide="ignore"):  # nothing but the source, or nothing of it
            lost_db = bss.sdr_loss(heard, wanted[there], filter_length=FILTER_TAPS, pairwise=True)
        found[there] = np.clip(-lost_db, -LIMIT_DB, LIMIT_DB)
    return found


def improvement_db(after_db: float, before_db: float) -> float:
    """What was gained, in dB; nan when nothing could be, because the source was all there was in the mixture."""
    return after_db - before_db if before_db < LIMIT_DB else float("nan")


def si_sdr_improvement_db(estimate: ArrayLike, source: ArrayLike, mixture: ArrayLike) -> float:
    """How much better the estimate is than the mixture itself, in dB: all arrays (samples,); 0: no better.

    nan where there is nothing to gain: the source is silent, or is all there is in the mixture.

    >>> round(si_sdr_improvement_db([3.0, 1.0], [1.0, 0.0], [1.0, 1.0]), 2)
    9.54
    """
    return improvement_db(si_sdr_db(estimate, source), si_sdr_db(mixture, source))


def stoi(estimate: ArrayLike, source: ArrayLike, rate: int, extended: bool = False) -> float:
    """How much of the speech in `source` can be understood in the estimate: about 0 (nothing) to 1 (everything).

    estimate, source: (samples,) at `rate` Hz. STOI is the short-time correlation of band envelopes (Taal et al.
    2011); extended: ESTOI, which allows for maskers that fluctuate (Jensen & Taal 2016). By pystoi. nan: less than
    SHORTEST_STOI_S of speech. Raises what `si_sdr_db` raises, and ConfigError when the package is missing."""
    heard, wanted = _unit_peaks(estimate, source)
    package = _package("stoi")
    if not wanted.any() or len(wanted) < SHORTEST_STOI_S * rate:
        return float("nan")
    with warnings.catch_warnings(), _same_random_numbers():
        warnings.filterwarnings("error", "Not enough STFT frames", RuntimeWarning)
        try:
            return float(package.stoi(wanted, heard, rate, extended=extended))
        except RuntimeWarning:
            return float("nan")


def pesq(estimate: ArrayLike, source: ArrayLike) -> float:
    """How good the speech in `source` sounds in the estimate: wideband PESQ, from about 1 (bad) to 4.64 (the same).

    estimate, source: (samples,) at PESQ_RATE. The mean opinion score that ITU-T P.862.2 predicts, by the package
    pesq. nan: it detects no utterance, the sound is shorter than a quarter of a second, or the estimate is silent.
    Raises what `si_sdr_db` raises, and ConfigError when the package is missing."""
    heard, wanted = _unit_peaks(estimate, source)
    package = _package("pesq")
    if not wanted.any() or not heard.any():
        return float("nan")
    try:
        return float(package.pesq(PESQ_RATE, wanted, heard, "wb"))
    except (package.NoUtterancesError, package.BufferTooShortError):
        return float("nan")


def require(names: Iterable[str]) -> None:
    """Raise ConfigError unless the packages are there that these figures, "sdr" and so on, are computed by."""
    for name in names:
        if name in PACKAGES:
            _package(name)


def best_order(
    estimates: NDArray[np.floating], sources: NDArray[np.floating], roles: Sequence[str]
) -> tuple[int, ...]:
    """Which estimate to hold against which source: entry i is the estimate of source i; (sources, samples) each.

    Only slots of the same role may change places: two talkers come in no particular order, speech and noise do. It is
    the order of the largest SI-SDR summed over the slots, the first of equals; silent sources do not count.
    """
    figures = np.nan_to_num([[si_sdr_db(estimate, source) for estimate in estimates] for source in sources])
    slots = range(len(roles))
    allowed = (order for order in permutations(slots) if all(roles[i] == roles[order[i]] for i in slots))
    return max(allowed, key=lambda order: sum(figures[i, order[i]] for i in slots))


def _limited_db(found: float, lost: float) -> float:
    """The ratio of two energies in dB, within +-LIMIT_DB; -LIMIT_DB for nothing over nothing."""
    if found <= lost * 10 ** (-LIMIT_DB / 10):
        return -LIMIT_DB
    if lost <= found * 10 ** (-LIMIT_DB / 10):
        return LIMIT_DB
    return float(10 * np.log10(found / lost))


def _unit_peaks(estimate: ArrayLike, source: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(samples,) each, with the loudest sample at 1. Raises AudioError unless both are finite and equally long."""
    heard, wanted = _unit_peak(estimate, "estimate"), _unit_peak(source, "source")
    if heard.shape != wanted.shape:
        raise AudioError(f"estimate and source must be equally long, got {len(heard)} and {len(wanted)} samples")
    return heard, wanted


def _unit_peak(samples: ArrayLike, name: str) -> NDArray[np.float64]:
    """(samples,) with its loudest sample at 1, so that no loudness overflows or underflows; silence stays silent."""
    sound = np.asarray(samples, np.float64)
    if sound.ndim != 1 or not len(sound):
        raise AudioError(f"{name} must have shape (samples,) and at least one sample, got shape {sound.shape}")
    if not np.isfinite(sound).all():
        raise AudioError(f"{name} holds samples that are not finite")
    peak = np.abs(sound).max()
    return sound / peak if peak else sound


def _package(name: str) -> Any:
    """The package that computes this figure. Raises ConfigError that says where to get it."""
    try:
        with _without_torch():
            return import_module(PACKAGES[name])
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{name} is computed by {PACKAGES[name]}, and {error.name} is not installed: "
            'pip install "streamsep[evaluation]"'
        ) from None


@contextmanager
def _without_torch() -> Iterator[None]:
    """For fast_bss_eval, which imports torch where it finds it, only to take its tensors too: that would cost every
    process seconds and hundreds of megabytes."""
    if "torch" in sys.modules:
        yield
        return
    sys.meta_path.insert(0, _NoTorch)  # not None in sys.modules: SciPy takes that for a torch, too
    try:
        yield
    finally:
        sys.meta_path.remove(_NoTorch)


class _NoTorch(MetaPathFinder):
    """Finds no torch, wherever it is. In place of an instance: it has no state."""

    @classmethod
    def find_spec(cls, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        """What Python asks before it looks elsewhere. Raises ModuleNotFoundError for torch."""
        if fullname == "torch":
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


@contextmanager
def _same_random_numbers() -> Iterator[None]:
    """For ESTOI, which adds noise of the size of rounding errors, from NumPy's shared generator; left as it was."""
    before = np.random.get_state()  # noqa: NPY002  that is the generator which pystoi uses
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
