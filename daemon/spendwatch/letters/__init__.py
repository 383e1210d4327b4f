"""What messages say: the texts in every language, and a notification as a letter. Knows no receiver."""
