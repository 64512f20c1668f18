"""History, content, and the restores that are made of them."""
