"""How people are reached. Never decides whether to speak."""
