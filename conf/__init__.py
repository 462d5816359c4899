"""Hydra settings."""
