"""Drawings of cells: a PNG with one arc diagram per graph. ``graph.to_dot`` gives the same graphs as DOT text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from gtn_core.saved_figure import save_figure
from gtn_sl.nas.graph import Edge, Graph

FAMILIES = (("conv", "#0b6e4f"), ("max", "#c8553d"), ("avg", "#3d5a80"), ("", "#8a8a8a"))
"""Colour of an edge by a substring of its label; the first match counts."""

BEND = 0.4
"""Height of an arc's control point, as a fraction of its width; the arc itself rises half as high."""

COLUMN = 1.5
"""Inches between nodes."""


def draw(path: Path, graphs: Mapping[str, Graph], title: str) -> None:
    """Draws an architecture: nodes from left to right, an arc for each operation.

    Args:
        path: PNG file to write.
        graphs: Graphs by title, one panel each.
        title: Title of the figure.

    Raises:
        GTNError: The file cannot be written.
    """
    columns = max(len(graph.nodes) for graph in graphs.values())
    layouts = {name: _arcs(graph) for name, graph in graphs.items()}
    heights = [high - low for low, high in map(_extent, layouts.values())]
    size = (max(6.0, COLUMN * columns), 0.5 + sum(COLUMN * height + 0.3 for height in heights))
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    panels = figure.subplots(len(graphs), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (name, graph) in zip(panels, graphs.items(), strict=True):
        axes.set_title(name, loc="left", fontsize=9)
        _draw_graph(axes, graph, layouts[name])
    save_figure(figure, path)


class _Arc(NamedTuple):
    edge: Edge
    start: int
    end: int
    side: int

    @property
    def top(self) -> float:
        """Height of the arc's apex above the line of nodes; negative below it."""
        return self.side * BEND * (self.end - self.start) / 2


def _arcs(graph: Graph) -> list[_Arc]:
    """Returns an arc for each edge; a node's incoming edges alternate between above and below the line."""
    places = {node: place for place, node in enumerate(graph.nodes)}
    into: Counter[str] = Counter()
    arcs = []
    for edge in graph.edges:
        side = 1 if into[edge.target] % 2 == 0 else -1
        into[edge.target] += 1
        arcs.append(_Arc(edge, places[edge.source], places[edge.target], side))
    return arcs


def _extent(arcs: Sequence[_Arc]) -> tuple[float, float]:
    """Returns the lowest and the highest point of a graph relative to its line of nodes, labels included."""
    tops = [0.0, *(arc.top for arc in arcs)]
    return min(tops) - 0.2, max(tops) + 0.2


def _draw_graph(axes: Axes, graph: Graph, arcs: Sequence[_Arc]) -> None:
    for arc in arcs:
        _draw_arc(axes, arc)
    for place, node in enumerate(graph.nodes):
        box = {"boxstyle": "round", "facecolor": "white", "edgecolor": "#444444"}
        axes.text(place, 0, node, ha="center", va="center", fontsize=8, bbox=box, zorder=3)
    axes.set_xlim(-0.5, len(graph.nodes) - 0.5)
    axes.set_ylim(*_extent(arcs))
    axes.set_aspect("equal")
    axes.axis("off")


def _draw_arc(axes: Axes, arc: _Arc) -> None:
    """Draws an arrow from node to node, with its label."""
    edge, start, end, side = arc
    colour = next(colour for part, colour in FAMILIES if part in edge.label)
    arrow = FancyArrowPatch(
        (start, 0), (end, 0), arrowstyle="-|>", mutation_scale=12, color=colour, shrinkA=18, shrinkB=18, zorder=1,
        connectionstyle=f"arc3,rad={-side * BEND}",
    )  # fmt: skip
    axes.add_patch(arrow)
    plain = {"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
    axes.text((start + end) / 2, arc.top, edge.label, ha="center", va="center", fontsize=7, color=colour, bbox=plain)
