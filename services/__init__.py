"""Pumasi's services: each reads topics and writes topics, and none imports another."""

from services import native as native  # first: whatever is imported next may be compiled

__version__ = "0.1.0"
