"""The meta-gradient by every method that this project is compared with, each given the same work."""

from gtn_sl.peers.methods import METHODS, Method, missing_package
from gtn_sl.peers.work import FORMS, LAYOUTS, PRECISIONS, WIDTHS, Gradients, Task, Work

__all__ = [
    "FORMS",
    "LAYOUTS",
    "METHODS",
    "PRECISIONS",
    "WIDTHS",
    "Gradients",
    "Method",
    "Task",
    "Work",
    "missing_package",
]
