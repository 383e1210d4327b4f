"""Where a balance is known: a file, an endpoint, the billing API."""
