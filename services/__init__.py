"""Pumasi's services: each reads topics and writes topics, and none imports another."""

__version__ = "0.1.0"
