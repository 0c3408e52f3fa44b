"""Measured points, fitted curves, and what is beyond the points, dashed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..peers.agents import DIRECT, SERVED
from ..peers.plots import OURS, pyplot
from .law import law
from .study import SINGLE

if TYPE_CHECKING:
    from pathlib import Path

    from .study import Curve, Study

#: Of each system: the colour, and what it is called here.
LOOKS = {
    DIRECT: (OURS, "wsup, in batches"),
    SINGLE: ("#a0522d", "one by one"),
    SERVED: ("#6b4fa0", "wsup, over HTTP"),
}
#: How far it is extrapolated: times the most places that were measured.
BEYOND = 2.5


def name(pause: int) -> str:
    """The file, in docs/."""
    return f"scale-{pause}.svg"


def draw(study: Study, folder: Path) -> str:
    """Raises BenchError without matplotlib."""
    plot = pyplot()
    figure, axes = plot.subplots(figsize=(7.0, 3.6))
    for curve in study.curves:
        _curve(axes, curve, *LOOKS[curve.system])
    for _, found in study.crossings[:1]:
        if found.places is not None:
            axes.axvline(found.places, color="#999999", linewidth=0.8, linestyle=":")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("subworkers")
    axes.set_title(f"Jobs of {study.pause} ms: jobs/s", loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    # The same results give the same file.
    figure.savefig(folder / name(study.pause), metadata={"Date": None})
    plot.close(figure)
    return name(study.pause)


def _curve(axes: Any, curve: Curve, colour: str, label: str) -> None:
    most = max(curve.places)
    inside, outside = np.linspace(1, most, 200), np.linspace(most, BEYOND * most, 200)
    axes.plot(curve.places, curve.rates, "o", color=colour, markersize=4, label=label)
    axes.plot(inside, law(inside, *curve.fit.values), color=colour, linewidth=1.4)
    axes.plot(outside, law(outside, *curve.fit.values), color=colour, linewidth=1, linestyle="--")
