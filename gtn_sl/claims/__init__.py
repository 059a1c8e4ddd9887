"""The claims of the paper, by name. A new one is one file here, its import below, and one ``@CLAIMS.register`` line."""

from gtn_sl.claims import curriculum, distillation, endless, speed, transfer, unrecognisable, weight_norm
from gtn_sl.claims.protocol import CLAIMS, Claim
from gtn_sl.claims.scale import SCALES, Scale
from gtn_sl.claims.study import Setup, reproduce

__all__ = [
    "CLAIMS",
    "SCALES",
    "Claim",
    "Scale",
    "Setup",
    "curriculum",
    "distillation",
    "endless",
    "reproduce",
    "speed",
    "transfer",
    "unrecognisable",
    "weight_norm",
]
