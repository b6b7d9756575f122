"""The command line: finds the service, asks it, and prints what it says.

``commands`` is the table of all commands, ``dispatch`` runs one of them; each further module is a family of commands.
"""

from mcp_responder.entrypoints.cli.dispatch import main

__all__ = ["main"]
