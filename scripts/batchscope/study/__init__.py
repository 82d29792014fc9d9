"""A study: read, checked, and expanded into what it trains, times and probes."""
