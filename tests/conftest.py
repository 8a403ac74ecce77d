"""Seeds and shared fixtures; imports of the packages stay inside, so that shape checks see them."""
