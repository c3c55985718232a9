"""What is wrong with a cache, why it matters, and what to do: rules over figures. Pure."""
