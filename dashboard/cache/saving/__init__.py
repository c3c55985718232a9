"""What it would save to hold small strings in hashes, measured on a sample."""
