"""The migrations of the tables, step by step. Only Alembic reads this folder."""
