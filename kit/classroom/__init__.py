"""One model for a whole class, and a class without a network."""
