"""What picks are worth, as pictures."""

from collections.abc import Mapping

from streamsep.report.ablation_scores import Worth
from streamsep.report.pictures import COLOURS, new_figure, svg
from streamsep.report.study import Picture

GROUPS = {
    "autoencoders": COLOURS[1],
    "trees": COLOURS[2],
    "silhouette": COLOURS[5],
    "only": "#999999",
    "random": "#999999",
}


def draw_ways(ways: dict[str, Worth]) -> Picture:
    """A dot with its interval a way to choose, the best on top."""
    figure = new_figure(9.0, 1.0 + 0.3 * len(ways))
    panel = figure.subplots()
    for place, (name, found) in enumerate(reversed(ways.items())):
        colour = next((colour for start, colour in GROUPS.items() if name.startswith(start)), COLOURS[0])
        interval = found.picked_db
        panel.plot([interval.low, interval.high], [place, place], color=colour, linewidth=2)
        panel.plot([interval.mean], [place], "o", color=colour)
    panel.set_yticks(range(len(ways)), list(reversed(ways)))
    panel.set_xlabel("SI-SDR improvement of the model picked, dB")
    panel.grid(axis="x", color="#dddddd", linewidth=0.6)
    return Picture("ways", svg(figure), "What every way to choose a model gains, with its 95 % interval.")


def draw_look_backs(found: Mapping[str, Mapping[str, Worth]]) -> Picture:
    """What is won against the length of the look back, a line a way to use the confidence."""
    figure = new_figure(6.0, 3.4)
    panel = figure.subplots()
    for colour, (how, worths) in zip(COLOURS, found.items(), strict=False):
        lengths_s = [float(name.removesuffix(" s")) for name in worths]
        won = [100 * each.won.mean for each in worths.values()]
        panel.plot(lengths_s, won, "o-", color=colour, label=how)
        low, high = (
            [100 * end for end in ends]
            for ends in zip(*((e.won.low, e.won.high) for e in worths.values()), strict=True)
        )
        panel.fill_between(lengths_s, low, high, color=colour, alpha=0.15, linewidth=0)
    panel.set_xlabel("look back, s")
    panel.set_ylabel("won of the oracle's gain, %")
    panel.grid(color="#dddddd", linewidth=0.6)
    panel.legend(fontsize=9)
    return Picture(
        "look-back", svg(figure), "What the confidence wins by the length of the look back, while it is heard."
    )
