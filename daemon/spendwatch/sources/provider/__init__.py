"""The provider's gateways: credentials, requests, and the meaning of their responses."""
