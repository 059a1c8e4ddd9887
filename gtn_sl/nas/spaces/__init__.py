"""Search spaces by name. To add one, add a file here, its import below and a ``@SPACES.register`` line."""

from gtn_sl.nas.spaces import cells, macro, nb201
from gtn_sl.nas.spaces.protocol import SPACES, Genotype, Space, find_space

__all__ = ["SPACES", "Genotype", "Space", "cells", "find_space", "macro", "nb201"]
