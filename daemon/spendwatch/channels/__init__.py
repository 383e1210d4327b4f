"""How notifications are sent. Channels never decide whether to send."""
