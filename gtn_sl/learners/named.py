"""Turning a name such as ``base_fc:16,32,64,norm=batch`` or ``my_package.nets:MyNet`` into an architecture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gtn_core.errors import UsageError, unknown_name
from gtn_core.registry import Registry
from gtn_sl.learners.form import ACTIVATIONS, NORMS
from gtn_sl.learners.registry import LEARNERS, PREFIXES, Architecture
from gtn_sl.learners.user_module import is_user_module, user_architecture

_CHOICES: Mapping[str, Registry[Any]] = {"norm": NORMS, "activation": ACTIVATIONS}


def architecture(name: str) -> Architecture:
    """Looks up a learner.

    Args:
        name: A registered name, with widths and settings after a colon where they differ from its defaults
            (``base_fc:16,32,64``, ``sampled:depth=2``, ``base_fc:16,32,64,norm=batch,activation=tanh``); a name with a
            prefix of ``PREFIXES``; or a user's own module, ``package.module:Class``. A width ``8-16`` is a range:
            meta-training draws from it, everything else takes its middle.

    Raises:
        UsageError: The name is unknown, or the architecture has no such widths or settings.
    """
    prefix, _, spec = name.partition(":")
    if prefix in PREFIXES:
        return PREFIXES[prefix](spec)
    if prefix not in LEARNERS and is_user_module(name):
        return user_architecture(name)
    family, items = LEARNERS[prefix](), spec.split(",") if spec else []
    if widths := [item for item in items if "=" not in item]:
        family = _with_widths(prefix, family, widths)
    for item in items:
        if "=" in item:
            key, _, value = item.partition("=")
            family = _with_setting(prefix, family, key, value)
    return family


def _with_widths(name: str, family: Architecture, texts: Sequence[str]) -> Architecture:
    """Returns the family with fixed widths, or with other ranges to draw them from."""
    wanted, bounds = len(family.form.widths), [text.split("-") for text in texts]
    numbers = [[int(bound) for bound in pair if bound.isdecimal()] for pair in bounds]
    valid = [len(n) == len(pair) <= 2 and 1 <= n[0] <= n[-1] for n, pair in zip(numbers, bounds, strict=True)]
    if len(texts) != wanted or not all(valid):
        example = ",".join(map(str, family.form.widths))
        raise UsageError(f"learner {name!r} takes {wanted} widths such as {name}:{example}, got {','.join(texts)!r}")
    ranges = tuple((n[0], n[1] + 1) if len(n) == 2 else (n[0], n[0]) for n in numbers)
    form = replace(family.form, widths=tuple((n[0] + n[-1]) // 2 for n in numbers))
    return replace(family, form=form, random_widths=ranges)


def _with_setting(name: str, family: Architecture, key: str, value: str) -> Architecture:
    """Returns the family with one setting changed, e.g. ``norm=batch``."""
    if key in _CHOICES:
        _CHOICES[key][value]  # raises an error that lists the accepted values
        form = replace(family.form, norm=value) if key == "norm" else replace(family.form, activation=value)
        return replace(family, form=form, settled=family.settled | {key})
    if key != "depth" or family.depths is None:
        raise unknown_name(f"setting of learner {name!r}:", key, [*_CHOICES, *(["depth"] if family.depths else [])])
    low, high = family.depths
    if not (value.isdecimal() and low <= int(value) < high):
        raise UsageError(f"learner {name!r} takes a depth from {low} to {high - 1}, got {value!r}")
    depth = int(value)
    return replace(family, form=replace(family.form, depth=depth), depths=(depth, depth + 1))
