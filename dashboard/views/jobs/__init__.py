"""Jobs: long work, and how it stands."""
