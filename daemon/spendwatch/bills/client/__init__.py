"""The daemon's side of reading bills. It never imports Polars: that is the worker's, in a process of its own."""
