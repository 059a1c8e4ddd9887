"""The command line, ``gtn-cli``: one file per command in ``commands``."""
