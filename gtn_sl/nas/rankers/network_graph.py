"""A network as its computation graph, with a node for each layer and each operation between layers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from gtn_core.errors import GTNError

REACH = 5
"""Maximum distance, in edges, at which a node receives messages from another."""

SETTINGS = ("kernel_size", "stride", "kind", "side")
"""Attributes that, in addition to the class, determine the kind of a layer."""


@dataclass(frozen=True)
class NetworkGraph:
    """A network's computation graph with N nodes.

    Attributes:
        kinds: Kind of each node.
        sizes: Logarithms of a node's parameter dimensions, padded with ones to four, shape ``(N, 4)``; the elementwise
            maximum over its parameters, 0 if it has none.
        before: Weight of the messages to each node (row) from those before it (column), shape ``(N, N)``: proportional
            to 1 / distance. Rows sum to 1, or to 0 if there are none.
        behind: The same for the nodes behind it.
        owners: Index of each parameter's node, by the parameter's name, in the module's order.
    """

    kinds: Sequence[str]
    sizes: Tensor
    before: Tensor
    behind: Tensor
    owners: Mapping[str, int]


def network_graph(module: nn.Module) -> NetworkGraph:
    """Traces a network with ``torch.fx``.

    Raises:
        GTNError: The network cannot be traced, e.g. because its control flow depends on the image, or one of its
            parameters is not read.
    """
    try:
        nodes = list(_Tracer().trace(module).nodes)
    except (fx.proxy.TraceError, TypeError) as error:
        raise GTNError(f"torch.fx cannot trace {type(module).__name__}: {error}") from error
    places = {node: place for place, node in enumerate(nodes)}
    edges = torch.zeros(len(nodes), len(nodes))
    for node in nodes:
        for source in node.all_input_nodes:
            edges[places[node], places[source]] = 1.0
    near = _one_over_distance(edges)
    owners = _owners(module, nodes)
    return NetworkGraph(
        [_kind(module, node) for node in nodes],
        _sizes(module, owners, len(nodes)),
        _shares(near),
        _shares(near.T),
        owners,
    )


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return next(m.children(), None) is None


def _kind(module: nn.Module, node: fx.Node) -> str:
    if node.op != "call_module":
        return f"{node.op} {getattr(node.target, '__name__', node.target) if node.op.startswith('call') else ''}"
    layer = module.get_submodule(str(node.target))
    told = [f"{name}={getattr(layer, name)}" for name in SETTINGS if hasattr(layer, name)]
    return " ".join([type(layer).__name__, *told, *(["grouped"] if getattr(layer, "groups", 1) > 1 else [])])


def _owners(module: nn.Module, nodes: Sequence[fx.Node]) -> dict[str, int]:
    """Returns the index of the first node that reads each parameter: the layer that holds it or a ``get_attr`` node.

    Raises:
        GTNError: A parameter is not read.
    """
    readers: dict[str, int] = {}
    for place, node in enumerate(nodes):
        if node.op in ("call_module", "get_attr"):
            readers.setdefault(str(node.target), place)
    owners = {}
    for name, _ in module.named_parameters():
        reader = readers.get(name.rpartition(".")[0], readers.get(name))
        if reader is None:
            raise GTNError(f"nothing in {type(module).__name__} reads its parameter {name!r}")
        owners[name] = reader
    return owners


def _sizes(module: nn.Module, owners: Mapping[str, int], count: int) -> Tensor:
    sizes = torch.zeros(count, 4)
    for name, parameter in module.named_parameters():
        dimensions = [math.log(size) for size in (*parameter.shape, 1, 1, 1)[:4]]
        sizes[owners[name]] = torch.maximum(sizes[owners[name]], torch.tensor(dimensions))
    return sizes


def _one_over_distance(edges: Tensor) -> Tensor:
    """Returns 1 / d where the shortest path has d edges, 0 beyond ``REACH``; input and output have shape ``(N, N)``."""
    reached, near = torch.eye(len(edges)), torch.zeros_like(edges)
    for distance in range(1, REACH + 1):
        reached = (edges @ reached).clamp(max=1.0)
        near = torch.maximum(near, reached / distance)
    return near


def _shares(near: Tensor) -> Tensor:
    return near / near.sum(dim=1, keepdim=True).clamp(min=1.0)
