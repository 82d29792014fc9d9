"""What every engine on Keras shares: models, and a Keras that nothing of the user's settings reaches."""
