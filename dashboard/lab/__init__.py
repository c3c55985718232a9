"""A client of the demo's bench by HTTP: the figures of its traffic, its knobs, its scenarios, its comparison.

It knows the demo as any stranger would, by what its addresses answer, and believes nothing of it.
"""
