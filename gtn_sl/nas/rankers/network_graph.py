"""A network as the graph of what it computes: a node for each layer and each operation between layers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from gtn_core.errors import GTNError

REACH = 5
"""Steps along edges over which a node still hears of another."""

SETTINGS = ("kernel_size", "stride", "kind", "side")
"""What, beside its class, tells a layer from another."""


@dataclass(frozen=True)
class NetworkGraph:
    """What a network computes.

    Attributes:
        kinds: What each of the N nodes does.
        sizes: Logarithm of the four dimensions of a node's largest parameter, shape ``(N, 4)``; 0 where there is none.
        before: How much node v hears of u before it, shape ``(N, N)``: as one over the distance, all of them together 1.
        behind: The same of those behind it.
        owners: Node of each parameter, by the parameter's name, in the module's order.
    """

    kinds: Sequence[str]
    sizes: Tensor
    before: Tensor
    behind: Tensor
    owners: Mapping[str, int]


def network_graph(module: nn.Module) -> NetworkGraph:
    """Follows an image through a network.

    Raises:
        GTNError: Its path depends on the image, or it has parameters that nothing reads.
    """
    try:
        nodes = list(_Tracer().trace(module).nodes)
    except (fx.proxy.TraceError, TypeError) as error:
        raise GTNError(f"{type(module).__name__} cannot be followed by torch.fx: {error}") from error
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
    """Returns the first node that reads each parameter: the layer that holds it, or its own."""
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
    """Returns 1/d where the shortest way has d edges, 0 beyond ``REACH``, both of shape ``(N, N)``."""
    reached, near = torch.eye(len(edges)), torch.zeros_like(edges)
    for distance in range(1, REACH + 1):
        reached = (edges @ reached).clamp(max=1.0)
        near = torch.maximum(near, reached / distance)
    return near


def _shares(near: Tensor) -> Tensor:
    return near / near.sum(dim=1, keepdim=True).clamp(min=1.0)
