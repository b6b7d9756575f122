"""mcp-responder: takes alerts in, says what is broken and why, and loses nothing on the way."""

__version__ = "0.1.0"
