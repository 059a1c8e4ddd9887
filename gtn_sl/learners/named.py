"""How a name such as ``base_fc:16,32,64,norm=batch`` or ``my_package.nets:MyNet`` becomes an architecture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gtn_core.errors import UsageError, unknown_name
from gtn_sl.learners.form import ACTIVATIONS, NORMS, Form
from gtn_sl.learners.registry import LEARNERS, PREFIXES, Architecture
from gtn_sl.learners.user_module import is_user_module, user_architecture


def architecture(name: str) -> Architecture:
    """Looks up a learner.

    Args:
        name: A registered name, behind a colon widths and settings where they should differ from its own
            (``base_fc:16,32,64``, ``sampled:depth=2``, ``base_fc:16,32,64,norm=batch,activation=tanh``), or a module of the
            user's, ``package.module:Class``.

    Raises:
        UsageError: The name is unknown, or the architecture has no such widths or settings.
    """
    prefix, _, spec = name.partition(":")
    if prefix in PREFIXES:
        return PREFIXES[prefix](spec)
    if is_user_module(name):
        return user_architecture(name)
    name = prefix
    family = LEARNERS[name]()
    items = [item.partition("=") for item in spec.split(",") if item]
    widths = [key for key, equals, _ in items if not equals]
    form = replace(family.form, widths=_widths(name, family, widths)) if widths else family.form
    for key, equals, value in items:
        if equals:
            form = _with(form, name, family, key, value)
    return replace(
        family,
        form=form,
        random_widths=tuple((w, w) for w in form.widths) if widths else family.random_widths,
        depths=(form.depth, form.depth + 1) if family.depths and "depth=" in spec else family.depths,
    )


def _widths(name: str, family: Architecture, texts: Sequence[str]) -> tuple[int, ...]:
    wanted = len(family.form.widths)
    if len(texts) != wanted or not all(text.isdecimal() and int(text) for text in texts):
        example = ",".join(map(str, family.form.widths))
        raise UsageError(f"learner {name!r} takes {wanted} widths such as {name}:{example}, got {','.join(texts)!r}")
    return tuple(map(int, texts))


def _with(form: Form, name: str, family: Architecture, key: str, value: str) -> Form:
    """Returns the form with one setting changed, e.g. ``norm=batch``."""
    if key == "norm":
        NORMS[value]  # the registry's own error names the accepted ones
        return replace(form, norm=value)
    if key == "activation":
        ACTIVATIONS[value]
        return replace(form, activation=value)
    if key != "depth" or family.depths is None:
        known = ["norm", "activation", *(["depth"] if family.depths else [])]
        raise unknown_name(f"setting of learner {name!r}:", key, known)
    low, high = family.depths
    if not (value.isdecimal() and low <= int(value) < high):
        raise UsageError(f"learner {name!r} takes a depth from {low} to {high - 1}, got {value!r}")
    return replace(form, depth=int(value))
