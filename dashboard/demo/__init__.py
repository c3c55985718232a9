"""A small shop whose traffic fills a cache as a real application does.

It is an outsider: it imports nothing else of `dashboard` and nothing else imports it. `python -m dashboard.demo
serve` answers HTTP from its own database through the cache, `python -m dashboard.demo drive` sends it requests.
"""
