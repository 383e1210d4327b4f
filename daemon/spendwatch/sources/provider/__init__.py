"""The provider's gateways, whatever they are asked: by what right, and what their answers mean."""
