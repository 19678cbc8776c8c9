"""What all pictures of the report share: matplotlib, as SVG that is the same every time."""

from io import StringIO
from typing import Any

from streamsep.report.extras import package

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999933", "#332288")  # Okabe & Ito


def new_figure(width: float, height: float) -> Any:
    """A matplotlib figure of so many inches; no pyplot: no display is touched and no global state is left. Raises
    ConfigError when matplotlib is missing."""
    return package("matplotlib.figure").Figure(figsize=(width, height), layout="constrained")


def svg(figure: Any) -> str:
    """Its text, from <svg to </svg>; nothing in it depends on when it was drawn. What was drawn with rasterized=True
    is a picture within it."""
    matplotlib = package("matplotlib")
    file = StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "streamsep", "svg.fonttype": "none"}):
        package("matplotlib.backends.backend_svg").FigureCanvasSVG(figure)
        figure.savefig(file, format="svg", dpi=120, metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    return text[text.index("<svg") :].strip()
