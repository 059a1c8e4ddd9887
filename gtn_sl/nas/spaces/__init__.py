"""Search spaces by name. A new one is one file here, its import below, and one ``@SPACES.register`` line."""

from gtn_sl.nas.spaces import cells, macro, nb201
from gtn_sl.nas.spaces.protocol import SPACES, Genotype, Space, find_space

__all__ = ["SPACES", "Genotype", "Space", "cells", "find_space", "macro", "nb201"]
