"""What servers publish: channels, keyspace notifications and the invalidations of client-side caching.

A Subscription says what is listened to, a Sieve which of it somebody wants to see, an Ear is one connection that hears
what one node tells, and a Buffer has the last events of a sieve, from which any number of watchers read.
"""
