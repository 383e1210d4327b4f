"""The provider's billing API."""
