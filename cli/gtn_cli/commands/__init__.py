"""The commands, imported only when they are called."""
