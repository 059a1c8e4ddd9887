"""A user's own learner: ``package.module:Class``, any pure module that turns images into logits."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from gtn_core.errors import WHERE, UsageError
from gtn_core.imported import import_named
from gtn_core.learner import Learner
from gtn_sl.learners.form import Form
from gtn_sl.learners.registry import Architecture


def is_user_module(name: str) -> bool:
    """Returns whether a learner's name has the form ``package.module:Class``."""
    module, colon, attribute = name.partition(":")
    return bool(colon) and all(part.isidentifier() for part in (*module.split("."), *attribute.split(".")))


def user_architecture(name: str) -> Architecture:
    """Returns the architecture of a user's own module.

    Args:
        name: ``package.module:Class``. The class, or function, is called with ``(image_shape, classes)``, or without
            arguments if it does not take two. It must turn images ``(N, C, H, W)`` into logits ``(N, classes)``, be a
            deterministic function of parameters and input, and keep no running statistics.

    Raises:
        UsageError: It cannot be imported; or, when it is built, it is not such a module.
    """
    factory = _imported(name)

    def build(image_shape: Sequence[int], classes: int, form: Form) -> nn.Module:
        module = _called(factory, name, image_shape, classes)
        _check(module, name, image_shape, classes)
        return module

    return Architecture(build, Form(()), drawn=True)  # to be safe: its buffers may be random


def _imported(name: str) -> Callable[..., Any]:
    value = import_named("learner", name)
    if not callable(value):
        raise UsageError(
            f"the learner {name!r} is a {type(value).__name__}, not a class or function that returns a module"
        )
    return value


def _called(factory: Callable[..., Any], name: str, image_shape: Sequence[int], classes: int) -> nn.Module:
    try:
        module = factory(tuple(image_shape), classes) if _takes_two(factory) else factory()
    except Exception as error:
        raise UsageError(f"the learner {name!r} fails to build: {type(error).__name__}: {error}; {WHERE}") from error
    if not isinstance(module, nn.Module):
        raise UsageError(f"the learner {name!r} builds a {type(module).__name__}, not a torch.nn.Module")
    return module


def _takes_two(factory: Callable[..., Any]) -> bool:
    try:
        inspect.signature(factory).bind((1, 1, 1), 2)
    except TypeError:
        return False
    return True


def _check(module: nn.Module, name: str, image_shape: Sequence[int], classes: int) -> None:
    """Rejects a module that is not pure, or whose outputs are not logits."""
    learner = Learner(module)
    images = torch.rand(3, *image_shape)
    try:
        with torch.no_grad():
            first, second = (learner.apply(learner.initial(), images)[0] for _ in range(2))
    except Exception as error:
        shape = "x".join(map(str, image_shape))
        reason = f"{type(error).__name__}: {error}"
        raise UsageError(f"the learner {name!r} fails on images of {shape}: {reason}; {WHERE}") from error
    if getattr(first, "shape", None) != (3, classes):
        got = tuple(first.shape) if hasattr(first, "shape") else type(first).__name__
        raise UsageError(f"the learner {name!r} must turn 3 images into logits of shape (3, {classes}), got {got}")
    if first.isnan().any():
        raise UsageError(f"the learner {name!r} returns logits that are NaN")
    if not torch.equal(first, second):
        raise UsageError(f"the learner {name!r} returns different logits for the same images: it draws random numbers")
