"""The command line, ``gtn-cli``, with one file per command in ``commands``."""
