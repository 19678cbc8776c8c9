"""Render scenes by every model and by the switch, and keep the figures: a run that was stopped goes on from there."""

import hashlib
import json
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from streamsep.errors import ModelError
from streamsep.evaluation.scenes import Scene
from streamsep.evaluation.switching import (
    RANGES,
    Choices,
    Improvements,
    Slots,
    Timeline,
    can_improve,
    choices,
    improvements_db,
    systems_db,
)
from streamsep.pool import pool_of
from streamsep.whole_files import write_texts

FORMAT = "1"  # of the kept figures; a new one whenever they would come out otherwise


@dataclass(frozen=True)
class Switched:
    """What the switch made of a scene: its slots, aligned, and when which domain became active."""

    slots: Slots  # (slots, samples)
    timeline: Timeline  # from 0 s on


Item = TypeVar("Item")
Result = TypeVar("Result")
RenderFixed = Callable[[NDArray[np.float32], str], Slots]  # mixture (samples,), domain
RenderSwitched = Callable[[NDArray[np.float32]], Switched]


@dataclass(frozen=True)
class SceneScore:
    """The figures of one scene."""

    scene: str
    choices: Choices
    segments: tuple[dict[str, dict[str, float]], ...]  # by range, then by system (`systems_db`): SI-SDRi in dB


@dataclass(frozen=True)
class Kept:
    """Figures kept in a folder. made_with: by domain, and under "switched", whatever a rendering depends on beside
    the scene (checksums of models, settings): where that is another, it is rendered again."""

    folder: Path
    made_with: Mapping[str, str] = field(default_factory=dict)

    def get(self, scene: Scene, system: str, make: Callable[[], Any]) -> Any:
        """What was made of this scene by this system before, or what is made now."""
        given = json.dumps([FORMAT, system, self.made_with.get(system, ""), _plain(scene)])
        digest = hashlib.sha256(given.encode() + scene.sources.tobytes()).hexdigest()[:16]
        path = self.folder / f"{scene.name}-{system}-{digest}.json"
        with suppress(FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):  # damaged: made anew
            return json.loads(path.read_text(encoding="utf-8"))
        found = make()
        self.folder.mkdir(parents=True, exist_ok=True)
        write_texts({path: json.dumps(found)})
        return found


def measure_scenes(
    scenes: Iterable[Scene],
    domains: Sequence[str],
    render_fixed: RenderFixed,
    render_switched: RenderSwitched,
    processes: int = 1,
    kept: Kept | None = None,
) -> Iterator[SceneScore]:
    """The score of every scene, in order, as soon as it is there; the same for any number of processes.

    domains: of the bank. With more than one process the two functions must be of a module, or `functools.partial` of
    such. Raises ModelError for a scene of other domains, and for slots of another shape than its sources."""
    task = partial(score_scene, tuple(domains), render_fixed, render_switched, kept)
    yield from in_order(task, scenes, processes)


def in_order(task: Callable[[Item], Result], items: Iterable[Item], processes: int) -> Iterator[Result]:
    """`map` by so many processes, a few items ahead: a scene is megabytes."""
    if processes == 1:
        yield from map(task, items)
        return
    with pool_of(processes) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(task, item))
                if len(waiting) > 2 * processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BaseException:  # Ctrl-C too: what has not begun does not begin any more
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def score_scene(
    domains: Sequence[str],
    render_fixed: RenderFixed,
    render_switched: RenderSwitched,
    kept: Kept | None,
    scene: Scene,
) -> SceneScore:
    """Render one scene and score it. Where there is nothing to separate, no fixed model is run."""
    needed = sorted(
        frozenset[str]().union(*(segment.domains for segment in scene.segments if len(segment.domains) == 1))
    )
    if missing := [domain for domain in needed if domain not in domains]:
        raise ModelError(
            f"{scene.name}: its domains are {', '.join(needed)}; the bank has no {', '.join(missing)}, only "
            f"{', '.join(domains)}"
        )

    def get(system: str, make: Callable[[], Any]) -> Any:
        return make() if kept is None else kept.get(scene, system, make)

    mixture, fixed = scene.mixture, {}
    if can_improve(scene):
        for domain in domains:
            fixed[domain] = get(domain, partial(_fixed, scene, mixture, domain, render_fixed))
    found = get("switched", partial(_switched, scene, mixture, render_switched))
    segments: list[dict[str, dict[str, float]]] = []
    for at, segment in enumerate(scene.segments):
        by_range = {}
        for which in RANGES:
            values = {domain: improvements[at][which] for domain, improvements in fixed.items()}
            if values and not math.isnan(switched := found["improvements"][at][which]):
                by_range[which] = systems_db(values, switched, segment.domains)
        segments.append(by_range)
    timeline = [(at_s, domain) for at_s, domain in found["timeline"]]
    return SceneScore(scene.name, choices(scene, timeline), tuple(segments))


def _fixed(scene: Scene, mixture: NDArray[np.float32], domain: str, render: RenderFixed) -> Improvements:
    return improvements_db(scene, render(mixture, domain))


def _switched(scene: Scene, mixture: NDArray[np.float32], render: RenderSwitched) -> dict[str, Any]:
    done = render(mixture)
    improvements = improvements_db(scene, done.slots)
    return {"improvements": improvements, "timeline": [[at_s, domain] for at_s, domain in done.timeline]}


def _plain(scene: Scene) -> list[list[Any]]:
    """The segments, for JSON."""
    return [[segment.start, segment.stop, sorted(segment.domains)] for segment in scene.segments]
