"""The operations pages: what ran, what is late, and the command that mends it.

They are made of the state alone, and answer at once whoever has the warehouse. What only the
warehouse knows comes from the cache.
"""
