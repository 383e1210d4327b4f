"""Where a balance comes from: a file, an endpoint, the billing API."""
