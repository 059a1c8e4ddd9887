"""Searches by name. To add one, add a file here, its import below and a ``@SEARCHES.register`` line."""

from gtn_sl.nas.search import evolution, halving, random_search
from gtn_sl.nas.search.ledger import Budget, Ledger
from gtn_sl.nas.search.protocol import SEARCHES, BudgetSpent, Evaluate, Fidelity, Search, find_search
from gtn_sl.nas.search.recorded import recorded_search, search_architectures
from gtn_sl.nas.search.report import read_search
from gtn_sl.nas.search.run import Evaluation, Found, run_search

__all__ = [
    "SEARCHES",
    "Budget",
    "BudgetSpent",
    "Evaluate",
    "Evaluation",
    "Fidelity",
    "Found",
    "Ledger",
    "Search",
    "evolution",
    "find_search",
    "halving",
    "random_search",
    "read_search",
    "recorded_search",
    "run_search",
    "search_architectures",
]
