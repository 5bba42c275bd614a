"""The command line: ``cloudtrainer <verb>``. It holds no logic of its own."""

from cloudtrainer.cli.program import app, main

__all__ = ["app", "main"]
