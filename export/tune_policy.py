"""Settings of belief and policy, measured: python -m export.tune_policy BANK --data DATA --figures DIR --json FILE

Every model of BANK scores every validation scene, listed and made, at every look (kept in DIR/series: this is what
takes time); the judge then weighs these scores with many settings. FILE gets, for each of them, the share of
time in the right domain, the delay of decisions and the switches that were wrong; DIR/policy.png shows delay against
wrong switches, with the settings that no other beats in both, the defaults and the best setting.
"""

import argparse
import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure  # no pyplot: no display is touched and no global state is left

from streamsep.errors import ModelError, StreamsepError
from streamsep.evaluation import made_scenes, scenes
from streamsep.evaluation.intervals import Interval
from streamsep.evaluation.lists import RATE
from streamsep.evaluation.scene_run import Kept, in_order
from streamsep.evaluation.scene_summary import summarise_choices
from streamsep.evaluation.scenes import Scene
from streamsep.evaluation.switching import Timeline, choices
from streamsep.models.bank import bank_folder
from streamsep.models.loader import Batch
from streamsep.models.manifest import Calibration, Calibrations
from streamsep.monitor.belief import BeliefOptions
from streamsep.monitor.calibration import PAPERS, estimates, names_needed, recognised
from streamsep.monitor.judge import ConfidenceJudge, JudgeOptions
from streamsep.monitor.look_back import BROAD, Moment, Watch
from streamsep.monitor.policy import PolicyOptions
from streamsep.whole_files import whole

SPLIT = "val"  # nothing is ever chosen by what the test lists say
EVERY_S = 0.5  # between two looks
LIMITS = {  # a setting should keep all of these
    "delay_median_s": 2.0,
    "delay_p90_s": 4.0,
    "false_switches_per_minute": 1.0,
    "unmixed_switches_per_minute": 1.0,
}
CHOICES: dict[str, tuple[float | None, ...]] = {
    # Looks come a few milliseconds early or late: dwell and distance lie between two of them, never on one.
    "stay_s": (2.5, 5.0, 10.0, 20.0, 50.0),
    "evidence_per_s": (0.7, 1.0, 1.3, 1.6, 2.0),
    "smoothing_s": (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0),  # does nothing in a bank that recognises its domains
    "margin_db": (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0),
    "hysteresis_db": (0.0, 0.5, 1.0),  # share of the margin
    "dwell_s": (0.0, 0.3, 0.8, 1.3, 1.8, 2.8),
    "apart_s": (0.0, 0.8, 1.8, 3.8),
    "floor_db": (None, -3.0, -1.0, 0.0, 1.0),
    "fall_back_s": (2.0, 4.0, 8.0),
}

RAW = Calibration(  # of a model that says nothing of how to compare it: its confidence, ten times
    features=(("confidence",),),
    centre=(0.0,),
    scale=(1.0,),
    weights=(10.0,),
    offset_db=0.0,
    lowest_db=-10.0,
    highest_db=10.0,
    error_db=0.0,
)


@dataclass(frozen=True)
class Look:
    """What `judge.ConfidenceJudge.weigh` weighs."""

    time_s: float
    scores: dict[str, float | None]  # dB by domain; None: no decision
    seen: dict[str, float] | None  # how likely every domain is, by this look


@dataclass(frozen=True)
class Recorded:
    """A scene without its sound, and what every model's score was at every look."""

    scene: Scene
    looks: list[Look]


@dataclass(frozen=True)
class Outcome:
    """A setting, and what it does in all scenes."""

    options: JudgeOptions
    figures: Mapping[str, Interval]


@dataclass(frozen=True)
class Models:
    """Look-back graphs of a bank, by file, so that other processes can open them too."""

    paths: tuple[Path, ...]
    calibrations: dict[str, Calibrations]  # by domain
    sources: dict[str, int]  # by domain
    made_with: str  # the same for the same weights and measures, whatever the calibration

    def judge(self, options: JudgeOptions) -> ConfidenceJudge:
        """That of the run-time."""
        return ConfidenceJudge(self.sources, self.calibrations, RATE, options)


# ----------------------------------------------------------------------------------------------------- the scores


def open_models(bank: str) -> Models:
    """The int8 look-back graphs of a bank. Raises ModelError when there is none."""
    paths = tuple(sorted(bank_folder(bank).glob("*-look-back-int8.onnx")))
    if not paths:
        raise ModelError(f"{bank}: no model here: expected files named DOMAIN-look-back-int8.onnx")
    manifests = [Batch(path).manifest for path in paths]
    for manifest in manifests:
        if manifest.calibration is None:
            print(f"{manifest.domain}: not calibrated; its raw confidence is taken, ten times", flush=True)
    calibrations = {said.domain: said.calibration or Calibrations(own=RAW) for said in manifests}
    weights = hashlib.sha256()
    for path in paths:
        model = onnx.load(path)
        del model.metadata_props[:]
        weights.update(model.SerializeToString(deterministic=True))
    measured = sorted({*PAPERS, *names_needed(calibrations)})
    made_with = f"{weights.hexdigest()} {measured} mean {BROAD} texture {JudgeOptions().look_back_s} {EVERY_S}"
    return Models(paths, calibrations, {said.domain: len(said.sources) for said in manifests}, made_with)


def record(models: Models, scene: Scene) -> list[tuple[float, dict[str, dict[str, float] | None]]]:
    """The measures of every model at every look at a scene, by name, where it puts the sound among them; None: too
    quiet to judge."""
    watch = Watch({graph.manifest.domain: graph for graph in map(Batch, models.paths)}, JudgeOptions().look_back_s)
    front = watch.front_end
    judge = models.judge(JudgeOptions())
    hops = scene.mixture[: scene.mixture.size // front.hop * front.hop].reshape(-1, front.hop)
    step = round(EVERY_S * front.sample_rate / front.hop)
    looks = []
    for at in range(0, len(hops) - step + 1, step):
        watch.hear(hops[at : at + step])
        time_s = watch.hop * front.hop / front.sample_rate
        backs = watch.look_backs()
        found = judge.measures(backs, Moment(watch.hop, time_s, watch.sound(), None, None))
        looks.append((time_s, {domain: each.by_name if each else None for domain, each in found.items()}))
    return looks


def recorded(models: Models, folder: Path, scene: Scene) -> Recorded:
    """A scene's scores; what was measured is kept in the folder, and calibrated anew every time."""
    known = set().union(*(part.domains for part in scene.segments))
    if missing := sorted(known - models.sources.keys()):
        raise ModelError(
            f"{scene.name} needs a look-back model for {', '.join(missing)}; found {list(models.sources)}"
        )
    looks = []
    for time_s, named in Kept(folder, {"measures": models.made_with}).get(
        scene, "measures", partial(record, models, scene)
    ):
        seen = recognised(models.calibrations, named)
        looks.append(Look(time_s, estimates(models.calibrations, named, seen), seen))
    return Recorded(Scene(scene.name, scene.segments, scene.sources[:, :0], scene.clips), looks)


# --------------------------------------------------------------------------------------------------- the settings


def replay(looks: Sequence[Look], judge: ConfidenceJudge) -> Timeline:
    """What a judge that is new would have switched to, and when, from the dry sound on."""
    timeline: list[tuple[float, str | None]] = [(0.0, None)]
    for look in looks:
        _, decision = judge.weigh(look.scores, look.seen, look.time_s)
        if decision.switched:
            timeline.append((look.time_s, decision.active))
    return timeline


def outcome(models: Models, series: Sequence[Recorded], options: JudgeOptions) -> Outcome:
    """What a setting does in all scenes."""
    found = [choices(one.scene, replay(one.looks, models.judge(options))) for one in series]
    return Outcome(options, summarise_choices(found))


def settings(count: int, seed: int = 0) -> list[JudgeOptions]:
    """The defaults, and then `count` others by lot."""
    random = np.random.default_rng(seed)
    drawn = [JudgeOptions()]
    for _ in range(count):
        values: dict[str, Any] = {name: some[random.integers(len(some))] for name, some in CHOICES.items()}
        values["hysteresis_db"] *= values["margin_db"]
        belief = BeliefOptions(**{name: values.pop(name) for name in BeliefOptions.__dataclass_fields__})
        drawn.append(JudgeOptions(belief=belief, policy=PolicyOptions(**values)))
    return list(dict.fromkeys(drawn))


def best(outcomes: Sequence[Outcome]) -> Outcome:
    """That which goes least beyond the limits (none of them, if there is one), and of those, most often right."""

    def beyond(found: Outcome) -> tuple[float, float]:
        excess = 0.0
        for name, limit in LIMITS.items():
            value = found.figures[name]
            excess += min(max(value.mean / limit - 1, 0.0), 10.0) if value.n else 0.0
        return excess, -found.figures["correct_share"].mean

    return min(outcomes, key=beyond)


def unbeaten(points: Sequence[tuple[float, float]]) -> list[int]:
    """The Pareto front: which points no other one is below in both, by the first coordinate."""
    front: list[int] = []
    for at in sorted(range(len(points)), key=points.__getitem__):
        if math.isfinite(sum(points[at])) and (not front or points[at][1] < points[front[-1]][1]):
            front.append(at)
    return front


# ---------------------------------------------------------------------------------------------------- the results


def draw(path: Path, outcomes: Sequence[Outcome], chosen: Outcome) -> None:
    """Delay against wrong switches, as PNG: in sound whose domain is known, and in sound that nobody mixed."""
    figure = Figure(figsize=(12, 5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    names = {
        "false_switches_per_minute": "wrong switches a minute, one domain",
        "unmixed_switches_per_minute": "switches a minute, long unmixed recordings",
    }
    for (name, title), panel in zip(names.items(), figure.subplots(1, 2), strict=True):
        for delay, colour in (("delay_median_s", "#2a788e"), ("delay_p90_s", "#c7a4cc")):
            points = [(found.figures[name].mean, found.figures[delay].mean) for found in outcomes]
            label = "median" if "median" in delay else "90 % are quicker"
            panel.scatter(*zip(*points, strict=True), s=8, color=colour, alpha=0.5, label=label)
            front = [points[at] for at in unbeaten(points)]
            if front:
                panel.plot(*zip(*front, strict=True), color=colour, linewidth=1.5, drawstyle="steps-post")
            panel.axhline(LIMITS[delay], color=colour, linestyle=(0, (5, 4)), linewidth=1)
            for found, marker, what in ((outcomes[0], "D", "defaults"), (chosen, "*", "best setting")):
                at = found.figures[name].mean, found.figures[delay].mean
                size = 160 if marker == "*" else 50
                label = what if "median" in delay else None
                panel.scatter(*at, marker=marker, s=size, color="#de4968", edgecolor="black", label=label, zorder=3)
        panel.axvline(LIMITS[name], color="black", linestyle=(0, (5, 4)), linewidth=1)
        panel.set_xlabel(title, fontsize=11)
        panel.set_ylabel("seconds from a change to the decision", fontsize=11)
        panel.set_ylim(0, 10)
        panel.grid(color="#dddddd", linewidth=0.6)
        panel.set_axisbelow(True)
        panel.legend(frameon=False, fontsize=9)
    figure.suptitle("settings of belief and policy on the validation scenes; dashed: what is asked for", fontsize=13)
    figure.savefig(path, format="png")


def plain(found: Outcome) -> dict[str, Any]:
    """For JSON, which knows no infinity: null for a delay longer than the segments and for nothing."""
    figures = {
        name: {key: value if math.isfinite(value) else None for key, value in asdict(interval).items()}
        for name, interval in found.figures.items()
    }
    return {"options": asdict(found.options), "figures": figures}


def write(path: Path, make: Callable[[Path], Any]) -> None:
    """With its folder; whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as part:
        make(part)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bank", help="'zoo' or a folder with *-look-back-int8.onnx")
    parser.add_argument("--data", type=Path, required=True, help="folder with scenes.csv, mixtures.csv and the clips")
    parser.add_argument("--figures", type=Path, required=True, help="folder for the picture and the scores")
    parser.add_argument("--json", type=Path, required=True, help="file for the numbers")
    parser.add_argument("--made", type=int, default=100, help="how many scenes to make, beside those listed")
    parser.add_argument("--settings", type=int, default=400, help="how many settings to try")
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    try:
        models = open_models(options.bank)
        every = chain(scenes.listed(options.data, SPLIT), made_scenes.made(options.data, SPLIT, options.made))
        series: list[Recorded] = []
        for one in in_order(partial(recorded, models, options.figures / "series"), every, options.processes):
            series.append(one)
            print(f"{len(series)}: {one.scene.name}, {len(one.looks)} looks", flush=True)
    except StreamsepError as error:
        raise SystemExit(str(error)) from None
    outcomes = list(in_order(partial(outcome, models, series), settings(options.settings), options.processes))
    chosen = best(outcomes)
    report = {"defaults": plain(outcomes[0]), "best": plain(chosen), "settings": [plain(one) for one in outcomes]}
    text = json.dumps(report, indent=1, allow_nan=False) + "\n"
    write(options.json, lambda part: part.write_text(text, encoding="utf-8"))
    write(options.figures / "policy.png", lambda part: draw(part, outcomes, chosen))
    for what, found in (("defaults", outcomes[0]), ("best", chosen)):
        print(what, found.options)
        for name, value in found.figures.items():
            print(f"  {name}: {value.mean:.3f} ({value.low:.3f} to {value.high:.3f}, n = {value.n})")


if __name__ == "__main__":
    main()
