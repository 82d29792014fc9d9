"""Data sets: made once per draw from a source or the user's files, then read by every job."""
