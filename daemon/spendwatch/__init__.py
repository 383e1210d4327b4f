"""Spendwatch: warns the right person, once, before the money runs out."""

__version__ = "0.1.0"
