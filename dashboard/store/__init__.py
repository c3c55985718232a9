"""Cachedeck's own state: operators, the audit trail, samples. It knows neither web nor cache servers."""
