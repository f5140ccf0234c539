"""What only the lectures use: their exercises and their figures."""
