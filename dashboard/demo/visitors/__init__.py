"""The shop's visitors: an open loop of requests, and the truth of what they were told. They know HTTP only."""
