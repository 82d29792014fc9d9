"""Tables that others exported: which program wrote one, and what its columns are."""
