"""How the tables came to be as they are, step by step. Alembic reads this folder; nothing else does."""
