"""Which keys are evicted, how old they are, and which of them are missed."""
