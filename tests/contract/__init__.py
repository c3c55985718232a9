"""One suite for every way to reach servers: standalone, a cluster of three primaries, through sentinels."""
