"""Images that are downloaded."""
