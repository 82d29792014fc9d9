"""Where the time of an update goes: three loops, each cell alone on the machine."""
