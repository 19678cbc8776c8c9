"""What is said of a model in words and numbers: its card, and the checksums of the folder it is in."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from export.legend import figure, legend
from export.stages import describe_stage
from streamsep.models.manifest import Corpus, Manifest

CHECKSUMS = "SHA256SUMS"


@dataclass(frozen=True)
class About:
    """What a person knows of a domain's model and no file can tell."""

    sources: tuple[str, ...]
    title: str
    use: str
    failures: tuple[str, ...]
    of_corpora: dict[str, tuple[str, ...]]  # more failures, of models that were trained on a corpus, by its name


ABOUT = {
    "speech": About(
        ("talker", "talker"),
        "talker | talker",
        "Two people who talk at once, live, at 8 ms of algorithmic latency, for listening and for experiments. It is "
        "no medical device.",
        (
            "Which talker comes out of which slot is decided by the sound; after a pause they may change places.",
            "Two talkers of the same sex, and like voices above all, are told apart much less well.",
            "A third talker, noise and music go to either slot.",
        ),
        {"EmoDB": ("Its voices read, spell or act, in English and some in German; children and whispers are rare.",)},
    ),
    "environment": About(
        ("event", "event"),
        "event | event",
        "Two everyday sounds at once (animals, tools, weather, bells, vehicles), live, at 8 ms of algorithmic "
        "latency, for experiments.",
        (
            "Which event comes out of which slot is decided by the sound and may change after a pause.",
            "Two sounds of one kind, and two that are both noise-like (rain and sea), can hardly be told apart.",
            "Speech and music are not among its kinds.",
        ),
        {
            "ESC-50": (
                "Its recordings are short (5 s) and few of each kind; a sound unlike all of them may be split over "
                "both.",
            )
        },
    ),
    "noise": About(
        ("speech", "noise"),
        "speech | noise",
        "One talker in the noise of everyday life (traffic, cafés, machines, weather, things that bang), live, at "
        "8 ms of algorithmic latency, for listening and for experiments. It is no medical device.",
        (
            "As this model it has only heard one talker over noise (babble of many is noise): a second voice close "
            "by is part speech, part noise.",
            "Singing was not among its noises and may be kept.",
            "It was trained from -6 to +11 dB; in louder noise weak consonants go with the noise.",
            "It was trained with small rooms, made ones and measured ones cut to 0.6 s; long reverberation is new to "
            "it.",
        ),
        {
            "EmoDB": (
                "Its voices read, spell or act; most speak English, some German. Shouts, whispers and children are "
                "rare.",
            )
        },
    ),
    "music": About(
        ("vocals", "accompaniment"),
        "vocals | accompaniment",
        "A singing voice over its accompaniment, live, at 8 ms of algorithmic latency, for research and experiments.",
        (
            "Lead instruments that sing (violin, saxophone, lead guitar) may be taken for the voice.",
            "Backing vocals belong to neither source.",
        ),
        {
            "MIR-1K": (
                "Its voices are amateur singers of Chinese pop songs (karaoke); choirs, rap and screaming are new to "
                "it.",
                "Its accompaniment is karaoke backing of the same songs and some solo instruments: dense or "
                "distorted productions are new to it.",
            )
        },
    ),
}


def failures(domain: str, data: Sequence[Corpus]) -> tuple[str, ...]:
    """What a model of this domain that was trained on these data is known to do badly."""
    about, corpora = ABOUT[domain], {entry.corpus for entry in data}
    more = (sentences for corpus, sentences in about.of_corpora.items() if corpus in corpora)
    return (*about.failures, *chain.from_iterable(more))


def notes(domain: str, data: Sequence[Corpus]) -> str:
    """Intended use and known failures, as one text."""
    return f"Intended use: {ABOUT[domain].use} Known failures: {' '.join(failures(domain, data))}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    cells = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def figures(metrics: Mapping[str, Any]) -> str:
    """A card's section of figures: what their names mean, and a table of them."""
    if not metrics:
        return "Not measured yet."
    rows = [[f"`{key}`", figure(value)] for key, value in metrics.items()]
    return f"{legend(list(metrics))}\n\n{table(['figure', 'value'], rows)}"


@dataclass(frozen=True)
class File:
    """A graph that was written."""

    name: str
    bytes: int
    manifest: Manifest
    hop_ms: float  # median


@dataclass(frozen=True)
class Checks:
    """What a release found out: a number or a sentence each."""

    parity: dict[str, float]  # error by way to run the graphs
    price: str  # of 8 bits
    temperature: str  # of the masks
    made_with: str  # operator sets and versions
    machine: str  # where the hops were timed


def card(files: Sequence[File], checks: Checks) -> str:
    """The model card in Markdown, of all graphs of a model."""
    manifest = files[0].manifest
    about, training = ABOUT[manifest.domain], manifest.training
    front = manifest.front_end
    ms = 1000 / front.sample_rate
    kept = table(
        ["corpus", "minutes", "licence"],
        [[item.corpus, f"{item.minutes:.1f}", item.licence] for item in training.data],
    )
    graphs = table(
        ["file", "graph", "weights", "size", "a hop"],
        [
            [
                file.name,
                file.manifest.graph,
                file.manifest.precision,
                f"{file.bytes / 1e6:.2f} MB",
                f"{file.hop_ms:.3f} ms",
            ]
            for file in files
        ],
    )
    recipe = ", ".join(f"{key} {value}" for key, value in json.loads(training.recipe).items())
    agreement = "\n".join(f"- {way}: {error:.1e}" for way, error in checks.parity.items())
    fails = "\n".join(f"- {failure}" for failure in failures(manifest.domain, training.data))
    stages = [f"- {describe_stage(json.loads(stage))}" for stage in training.before]
    before = "\n".join(["The weights had gone through this before, oldest first:\n", *stages, "\n"]) if stages else ""
    return f"""# {manifest.domain}: {about.title}

Version {manifest.version}. A causal recurrent chimera network: masks and {manifest.embedding_dims}-dimensional
embeddings on one trunk, {manifest.parameters:,} parameters from spectrum to masks, {front.sample_rate} Hz.
Windows: {front.window * ms:g} ms analysis, {front.synthesis_window * ms:g} ms synthesis; hop {front.hop * ms:g} ms.

{graphs}

A hop: the median in one thread of {checks.machine}, as the engine runs it. The graphs need {checks.made_with}.

**Licence of the weights:** {manifest.licence}.

## Intended use

{about.use}

## Known failures

Expected from how it was trained; not each of them was measured.

{fails}

## Figures

{figures(manifest.metrics)}

8 bits: {checks.price}

The float32 graphs against the training network, largest error over the peak:

{agreement}

## Data

What the recipe draws from, and the recipes of what came before, training split only.

{kept}

## Recipe

{before}{training.steps} steps, seed {training.seed}. {recipe}. Weights: running average over the steps.

{checks.temperature}
"""


def checksums(folder: Path) -> str:
    """SHA-256 of every graph and card in the folder, as `sha256sum` writes and checks them."""
    paths = sorted([*folder.glob("*.onnx"), *folder.glob("*.md")])
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in paths)
