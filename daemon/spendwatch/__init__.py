"""Spendwatch: tells the right person, once and truthfully, before the money is gone."""

__version__ = "0.1.0"
