"""A simulated Torn City on this machine that answers like the real API, without a real key.

`world` computes the city as a pure function of a seed and a time. `api/city.py` adds Torn's rules,
and `api/server.py` serves both over HTTP. The logger imports nothing of this room.
"""
