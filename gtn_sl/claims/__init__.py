"""The paper's claims, by name. A new one needs a file here, an import below and a ``@CLAIMS.register`` line."""

from gtn_sl.claims import curriculum, distillation, endless, speed, transfer, unrecognisable, weight_norm
from gtn_sl.claims.protocol import CLAIMS, Claim
from gtn_sl.claims.scale import SCALES, Scale
from gtn_sl.claims.study import Setup, reproduce, reproduce_claim

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
    "reproduce_claim",
    "speed",
    "transfer",
    "unrecognisable",
    "weight_norm",
]
