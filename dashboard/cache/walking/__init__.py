"""Going over a keyspace, gently: the governed walk, which everything that visits many keys uses."""
