"""Arrays of a .npz file of the user's."""
