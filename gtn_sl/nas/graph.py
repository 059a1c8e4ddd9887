"""A cell as a graph of named nodes and labelled edges: what is drawn of it, as DOT text here and as a picture in ``drawing``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Edge:
    """One operation between two nodes.

    Attributes:
        source: Node that it reads.
        target: Node that it adds to.
        label: The operation; empty where the value is handed on as it is.
    """

    source: str
    target: str
    label: str = ""


@dataclass(frozen=True)
class Graph:
    """A directed acyclic graph.

    Attributes:
        nodes: Names, each after all that it reads.
        edges: Operations between them; two nodes may have several.
    """

    nodes: tuple[str, ...]
    edges: tuple[Edge, ...]


def to_dot(graphs: Mapping[str, Graph]) -> str:
    """Returns graphs as one DOT document (Graphviz), each a cluster with its title."""
    lines = ["digraph architecture {", "  rankdir=LR;", '  node [shape=box, style=rounded, fontname="Helvetica"];']
    for index, (title, graph) in enumerate(graphs.items()):
        lines += [f"  subgraph cluster_{index} {{", f"    label={json.dumps(title)};"]
        lines += [f"    {_id(index, node)} [label={json.dumps(node)}];" for node in graph.nodes]
        lines += [
            f"    {_id(index, edge.source)} -> {_id(index, edge.target)} [label={json.dumps(edge.label)}];"
            for edge in graph.edges
        ]
        lines.append("  }")
    return "\n".join([*lines, "}", ""])


def _id(index: int, node: str) -> str:
    return json.dumps(f"{index}/{node}")
