"""Every column of every table, and their files."""
