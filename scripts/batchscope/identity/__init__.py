"""What a result follows from, and whether a file is still what was written: digests of content and of code."""
