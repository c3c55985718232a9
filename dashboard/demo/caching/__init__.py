"""What lies between the shop and its cache server: entries, leases, reading, copies, queue. Knows no database."""
