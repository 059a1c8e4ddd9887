"""Generators of synthetic images by name, one file each."""

from gtn_sl.generators.conditional import ConditionalGenerator
from gtn_sl.generators.dcgan import DCGANGenerator
from gtn_sl.generators.joint import JointGenerator
from gtn_sl.generators.pixels import PixelGenerator
from gtn_sl.generators.protocol import GENERATORS, Generated, Generator, GeneratorShape

__all__ = [
    "GENERATORS",
    "ConditionalGenerator",
    "DCGANGenerator",
    "Generated",
    "Generator",
    "GeneratorShape",
    "JointGenerator",
    "PixelGenerator",
]
