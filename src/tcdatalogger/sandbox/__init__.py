"""A Torn City on loopback that answers like the real one, without a key.

The world is a pure function of a seed and a time (`world`); Torn's rules stand around it (`city`)
and a small web server carries it (`server`). Nothing here is imported by the logger itself.
"""
