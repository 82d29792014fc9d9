"""Probes: measurements that explain what the runs show, a folder each; see `probe.Probe` for what one is made of."""
