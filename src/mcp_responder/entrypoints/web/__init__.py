"""The HTTP door: alerts in by ``ingest``, everything else by ``api``."""
