"""The sections of the page: a file each, whose function `section` makes it, or nothing where the study has none."""
