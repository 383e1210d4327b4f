"""One declarative table a layout: which header names mean which canonical field."""
