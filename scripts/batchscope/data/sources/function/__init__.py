"""Arrays that a function of the user's returns."""
