"""Which endpoints Torn has, and of what shape."""
