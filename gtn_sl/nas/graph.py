"""A cell as a graph of named nodes and labelled edges, which ``to_dot`` writes as DOT text and ``drawing`` as a PNG."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Edge:
    """One operation between two nodes.

    Attributes:
        source: Node that is read.
        target: Node that receives the result.
        label: The operation; empty if the value is passed on unchanged.
    """

    source: str
    target: str
    label: str = ""


@dataclass(frozen=True)
class Graph:
    """A directed acyclic graph.

    Attributes:
        nodes: Names of the nodes, in topological order.
        edges: Operations between the nodes; two nodes may be connected by several.
    """

    nodes: tuple[str, ...]
    edges: tuple[Edge, ...]


def to_dot(graphs: Mapping[str, Graph]) -> str:
    """Returns the graphs as one DOT document (Graphviz), each as a cluster with its title."""
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
