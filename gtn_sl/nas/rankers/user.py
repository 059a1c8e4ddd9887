"""A user's own ranker: any function ``(candidate, setting, seed) -> float``, given as ``package.module:function``."""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from gtn_core.errors import UsageError
from gtn_core.imported import import_named
from gtn_sl.nas.candidate import Candidate
from gtn_sl.nas.rankers.protocol import RANKERS, Judge, Ranker, Score, Setting
from gtn_sl.nas.specification import parse


@dataclass(frozen=True)
class UserRanker(Ranker):
    """Calls a function for each architecture.

    Attributes:
        path: ``package.module:function``.
        function: The function at that path. It takes a ``Candidate``, a ``Setting`` and a seed, and returns a number,
            higher for better architectures, or a ``Score``.
    """

    retries: ClassVar[bool] = True

    path: str
    function: Callable[[Candidate, Setting, int], Any]

    @property
    def name(self) -> str:
        """See ``Ranker.name``."""
        return self.path

    def identity(self) -> dict[str, Any]:
        """See ``Ranker.identity``: the scores depend on the content of the function's file."""
        source = _source(self.function)
        return {"ranker": self.name, "source": source and hashlib.sha256(source.read_bytes()).hexdigest()[:16]}

    def prepare(self, setting: Setting) -> Judge:
        """See ``Ranker.prepare``."""

        def judge(candidate: Candidate, seed: int) -> Score:
            value = self.function(candidate, setting, seed)
            return value if isinstance(value, Score) else Score(float(value))

        return judge


def find_ranker(text: str) -> Ranker:
    """Returns the ranker of a specification such as ``real@steps=64``, or a user's ``package.module:function``.

    Raises:
        UsageError: A name or a setting is unknown, a value is invalid, the function cannot be imported, or it is given
            settings.
    """
    path, at, _ = text.partition("@")
    if ":" not in path:
        return parse(RANKERS, text)
    if at:
        raise UsageError(
            f"the ranker {path!r} is your own function, which takes no settings: remove the @ and what follows"
        )
    return UserRanker(text, _imported(text))


def _source(function: Callable[..., Any]) -> Path | None:
    """Returns the source file of a function, looking through partials and decorators, or of an object's class."""
    while isinstance(function, functools.partial):
        function = function.func
    plain = inspect.unwrap(function)
    try:
        source = inspect.getsourcefile(plain if inspect.isroutine(plain) or inspect.isclass(plain) else type(plain))
    except TypeError:  # a built-in or extension object
        return None
    return Path(source) if source and Path(source).is_file() else None


def _imported(path: str) -> Callable[..., Any]:
    function = import_named("ranker", path)
    if not callable(function):
        raise UsageError(
            f"the ranker {path!r} is a {type(function).__name__}, not a function (candidate, setting, seed) -> float"
        )
    return function
