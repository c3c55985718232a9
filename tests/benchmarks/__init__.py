"""`make bench`: what Cachedeck costs, as ratios against a peer in the same run. Not timed tests."""
