"""The base of all processors, and the values between its steps."""
