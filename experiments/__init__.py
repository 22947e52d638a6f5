"""Launchers: each reads a config, calls the library and fills a run directory."""
