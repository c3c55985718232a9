"""The bench beside the driver: it turns a shop's knobs, plays scenarios, compares the patterns and says what it sees.

It talks to the shop by HTTP (lab_api.py) and is itself asked and told by HTTP (server.py), so that each of the three,
shop, bench and whoever looks, can be away without the others minding.
"""
