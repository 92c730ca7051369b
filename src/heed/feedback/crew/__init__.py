"""Simulated labelers that use the studio as people do: through its web pages, with all that goes wrong on the way."""
