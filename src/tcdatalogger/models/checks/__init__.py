"""What is promised of rows, and what a user asks for."""
