"""What servers tell of themselves: figures, rates and charts."""
